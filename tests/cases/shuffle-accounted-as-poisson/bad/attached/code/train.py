from private_transformers import PrivacyEngine
from torch.utils.data import DataLoader


def train(model, optimizer, train_data):
    engine = PrivacyEngine(model, batch_size=256, sample_size=len(train_data), epochs=3, target_epsilon=8)
    engine.attach(optimizer)
    for batch in DataLoader(train_data, batch_size=256, shuffle=True):
        optimizer.step(loss=model(batch))
