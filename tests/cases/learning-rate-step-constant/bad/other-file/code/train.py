def anneal_lr(args, optimizer, step):
    warm = step / args["warmup"]
    done = (step - args["warmup"]) / args["steps"]
    rate = args["lr"] * min(1, warm) * min(1 - done, 1)
    for group in optimizer.param_groups:
        group["lr"] = rate


