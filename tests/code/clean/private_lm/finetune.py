"""A language model whose optimizer, sampler and accountant are put together by hand, all for Poisson sampling."""

import math

import torch
from opacus import GradSampleModule
from opacus.accountants import PRVAccountant
from opacus.optimizers import DPOptimizer
from opacus.utils.uniform_sampler import UniformWithReplacementSampler
from settings import load_settings
from torch.utils.data import DataLoader

ROUNDS = (3,)


class PrivateRun:
    def __init__(self, model, records, settings):
        rate = settings["batch_size"] / len(records)
        self.steps = math.ceil(settings["epochs"] / rate)
        self.model = GradSampleModule(model)
        inner = torch.optim.AdamW(self.model.parameters(), lr=settings["lr"])
        self.optimizer = DPOptimizer(
            inner,
            noise_multiplier=settings["noise_multiplier"],
            max_grad_norm=1.0,
            expected_batch_size=settings["batch_size"],
        )
        sampler = UniformWithReplacementSampler(num_samples=len(records), sample_rate=rate, steps=self.steps)
        self.train_loader = DataLoader(records, batch_sampler=sampler)
        self.accountant, self.rate = PRVAccountant(), rate

    def collate(self, rows):
        length = max(len(row) for row in rows)
        positions = torch.arange(length).repeat(len(rows), 1)
        return torch.tensor(rows), positions

    def norms(self):
        return [p.grad_sample.flatten(1).norm(dim=1) for p in self.model.parameters()]

    def run(self, scheduler):
        for ids, positions in self.train_loader:
            loss = self.model(ids, position_ids=positions).mean(dim=1)
            loss.sum().backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            scheduler.step()
            self.accountant.step(noise_multiplier=self.optimizer.noise_multiplier, sample_rate=self.rate)
        return self.accountant.get_epsilon(delta=1e-7)


def main(model, records):
    settings = load_settings("settings.yaml")
    return PrivateRun(model, records, settings)
