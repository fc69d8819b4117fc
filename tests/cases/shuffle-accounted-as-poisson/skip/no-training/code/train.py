from torch.utils.data import DataLoader

train_loader = DataLoader([1, 2], shuffle=True)
