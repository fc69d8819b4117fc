from opacus import GradSampleModule
from opacus.accountants import RDPAccountant
from transformers import Trainer


class PrivateTrainer(Trainer):
    def __init__(self, model, rate, **rest):
        super().__init__(model=GradSampleModule(model), **rest)
        self.accountant, self.rate = RDPAccountant(), rate

    def count(self):
        self.accountant.step(noise_multiplier=1.0, sample_rate=self.rate)
