import torch
from opacus import PrivacyEngine


def train(model, optimizer, loader):
    engine = PrivacyEngine()
    model, optimizer, loader = engine.make_private(
        module=model, optimizer=optimizer, data_loader=loader, noise_multiplier=1.0, max_grad_norm=1.0
    )
    for batch in loader:
        optimizer.zero_grad()
        loss = model(batch).mean()
        loss.backward()
        optimizer.step()
    return engine.get_epsilon(1e-6)


args = load("conf/config.json")
set_seed(args.seed)
