from engine import train
import torch

SEED = 7
torch.manual_seed(SEED)
