from train import anneal_lr


def train(args, model, optimizer, loader):
    anneal_lr(args, optimizer, 0)
    step = 0
    for epoch in range(3):
        for batch in loader:
            model(batch).mean().backward()
            anneal_lr(args, optimizer, 0)
            optimizer.step()
            step += 1
