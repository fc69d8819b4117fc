import numpy as np


class LossAwareSampler:
    def update_with_local_losses(self, t, losses):
        self.update_with_all_losses(t, losses)

    def update_with_all_losses(self, t, losses):
        self.history[t] = losses


def create_named_schedule_sampler(name):
    return LossAwareSampler() if name == "loss-second-moment" else None
