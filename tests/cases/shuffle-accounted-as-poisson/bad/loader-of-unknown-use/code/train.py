import torch
from opacus import GradSampleModule
from opacus.accountants import PRVAccountant
from opacus.optimizers import DPOptimizer


def fit(model, optimizer, data, rate):
    model = GradSampleModule(model)
    optimizer = DPOptimizer(optimizer, noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=32)
    accountant = PRVAccountant()
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    for batch in loader:
        model(batch).mean().backward()
        optimizer.step()
        accountant.step(noise_multiplier=1.0, sample_rate=rate)
    return accountant.get_epsilon(1e-6)
