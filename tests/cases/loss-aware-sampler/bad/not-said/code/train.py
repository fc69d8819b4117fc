import torch
from opacus import PrivacyEngine
from resample import LossAwareSampler, create_named_schedule_sampler


def train(args, model, optimizer, loader):
    sampler = create_named_schedule_sampler(args.schedule_sampler)
    engine = PrivacyEngine()
    model, optimizer, loader = engine.make_private(
        module=model, optimizer=optimizer, data_loader=loader, noise_multiplier=1.0, max_grad_norm=1.0
    )
    for batch in loader:
        t, weights = sampler.sample(len(batch))
        losses = model(batch, t)
        if isinstance(sampler, LossAwareSampler):
            sampler.update_with_local_losses(t, losses.detach())
        (losses * weights).mean().backward()
        optimizer.step()
