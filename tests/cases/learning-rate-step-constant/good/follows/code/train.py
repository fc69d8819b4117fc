def anneal_lr(args, optimizer, step):
    warm = step / args["warmup"]
    done = (step - args["warmup"]) / args["steps"]
    rate = args["lr"] * min(1, warm) * min(1 - done, 1)
    for group in optimizer.param_groups:
        group["lr"] = rate


def train(args, model, optimizer, loader):
    anneal_lr(args, optimizer, 0)
    step = 0
    for epoch in range(3):
        for batch in loader:
            model(batch).mean().backward()
            anneal_lr(args, optimizer, step)
            optimizer.step()
            step += 1
