from resample import LossAwareSampler


def pretrain(model, sampler, loader):
    for batch in loader:
        sampler.update_with_local_losses(0, model(batch))
