import math
from opacus import PrivacyEngine
from opacus.utils.batch_memory_manager import BatchMemoryManager


def train(args, model, optimizer, loader, other):
    engine = PrivacyEngine()
    model, optimizer, private = engine.make_private_with_epsilon(
        module=model, optimizer=optimizer, data_loader=loader, target_epsilon=8, target_delta=1e-6, max_grad_norm=1.0,
        epochs=math.ceil(args.steps / len(loader)),
    )
    with BatchMemoryManager(data_loader=private, max_physical_batch_size=8, optimizer=optimizer) as safe:
        print(args.epochs * len(safe))
        pass
        for epoch in range(math.ceil(args.steps / len(safe))):
            for batch in safe:
                model(batch).mean().backward()
                optimizer.step()
