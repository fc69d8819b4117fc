from torch.utils.data import BatchSampler, RandomSampler
from opacus.utils.uniform_sampler import UniformWithReplacementSampler


class ShuffledUnits:
    def __init__(self, data, size):
        self.batches = BatchSampler(RandomSampler(data), batch_size=size, drop_last=True)


class PoissonUnits:
    def __init__(self, data, rate):
        self.batches = UniformWithReplacementSampler(num_samples=len(data), sample_rate=rate)
