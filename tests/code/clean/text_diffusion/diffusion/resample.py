"""Samplers of timesteps."""

import numpy as np


class UniformSampler:
    def __init__(self, diffusion):
        self.steps = diffusion.num_timesteps

    def sample(self, number):
        return np.random.default_rng().integers(self.steps, size=number), np.ones(number)


class LossAwareSampler(UniformSampler):
    def update_with_local_losses(self, timesteps, losses):
        self.update_with_all_losses(timesteps, losses)

    def update_with_all_losses(self, timesteps, losses):
        self.history = dict(zip(timesteps, losses, strict=True))


def create_named_schedule_sampler(name, diffusion):
    if name == "uniform":
        return UniformSampler(diffusion)
    return LossAwareSampler(diffusion)
