"""A classifier trained privately. The loader shuffles, and make_private replaces it by Poisson sampling."""

import argparse

import torch
from opacus import PrivacyEngine
from opacus.utils.batch_memory_manager import BatchMemoryManager
from torch.utils.data import DataLoader, random_split
from tqdm import tqdm


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--verbose", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7, help="for the initial weights")
    parser.add_argument("--delta", type=float, default=1e-6)
    return parser.parse_args()


def train_epoch(model, loader, optimizer, criterion, epoch):
    losses = []
    with BatchMemoryManager(data_loader=loader, max_physical_batch_size=64, optimizer=optimizer) as physical:
        for batch, target in tqdm(physical, total=len(physical)):
            optimizer.zero_grad()
            loss = criterion(model(batch), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) % 100 == 0:
                tqdm.write(f"{epoch}: {sum(losses) / len(losses)}")


def test(model, loader):
    right = total = 0
    for batch, target in loader:
        if len(batch) == 0:
            continue
        right += (model(batch).argmax(1) == target).sum().item()
        total += len(batch)
    return right / total


def main(args, model, optimizer, records):
    torch.manual_seed(args.seed)
    train_set, validation_set = random_split(records, [0.9, 0.1])
    train_loader = DataLoader(train_set, batch_size=256, shuffle=True)
    validation_loader = DataLoader(validation_set, batch_size=256, shuffle=True)
    engine = PrivacyEngine(secure_mode=True)
    model, optimizer, train_loader = engine.make_private(
        module=model,
        optimizer=optimizer,
        data_loader=train_loader,
        noise_multiplier=1.1,
        max_grad_norm=1.0,
    )
    for epoch in range(args.epochs):
        train_epoch(model, train_loader, optimizer, torch.nn.CrossEntropyLoss(), epoch)
        print("accuracy", test(model, validation_loader), "epsilon", engine.get_epsilon(args.delta))
    torch.save({"model": model.state_dict(), "epoch": args.epochs}, "last.pt")


if __name__ == "__main__":
    main(options(), None, None, None)
