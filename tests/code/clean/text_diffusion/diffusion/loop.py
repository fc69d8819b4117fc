"""The training loop; it is the same for public training, which may use a loss-aware sampler."""

import torch
from opacus.utils.batch_memory_manager import BatchMemoryManager

from .resample import LossAwareSampler


def anneal_lr(args, optimizer, step):
    fraction = step / args.learning_steps
    rate = args.lr * min(1, step / args.warmup) * (1 - fraction)
    for group in optimizer.param_groups:
        group["lr"] = rate


class TrainLoop:
    def __init__(self, model, optimizer, loader, schedule_sampler, args):
        self.model, self.optimizer, self.loader = model, optimizer, loader
        self.schedule_sampler, self.args, self.step = schedule_sampler, args, 0

    def run_loop(self, epochs):
        anneal_lr(self.args, self.optimizer, 0)
        with BatchMemoryManager(
            data_loader=self.loader, max_physical_batch_size=64, optimizer=self.optimizer
        ) as physical:
            for _ in range(epochs):
                for batch in physical:
                    self.run_step(batch)
        self.save()

    def run_step(self, batch):
        timesteps, weights = self.schedule_sampler.sample(len(batch))
        positions = torch.arange(batch.shape[1]).expand(len(batch), -1)
        losses = self.model(batch, positions, timesteps)
        if isinstance(self.schedule_sampler, LossAwareSampler):
            self.schedule_sampler.update_with_local_losses(timesteps, losses.detach())
        (losses * weights).mean().backward()
        anneal_lr(self.args, self.optimizer, self.step)
        self.optimizer.step()
        self.step += 1

    def save(self):
        torch.save(self.model.state_dict(), f"model_{self.step:06d}.pt")
