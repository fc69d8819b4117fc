"""The private training; it shares nothing with the classifier that scores its texts."""

from opacus import PrivacyEngine


def train(model, optimizer, loader, epochs):
    engine = PrivacyEngine(accountant="prv")
    model, optimizer, loader = engine.make_private_with_epsilon(
        module=model,
        optimizer=optimizer,
        data_loader=loader,
        target_epsilon=8.0,
        target_delta=1e-6,
        epochs=epochs,
        max_grad_norm=1.0,
    )
    for _ in range(epochs):
        for batch in loader:
            model(batch).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    return engine.get_epsilon(1e-6)
