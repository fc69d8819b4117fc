"""An ordinary Opacus loop that leaves a ledger: the lines marked + are what was added.

    python examples/opacus_loop.py out/opacus-loop

A tiny classifier on made-up numbers; seconds on a CPU. The ledger goes to the auditor, not into the release.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import torch
from opacus import PrivacyEngine
from torch.utils.data import DataLoader, TensorDataset

from reimpl import calibration
from reimpl.ledger import declaration, fingerprint, recorded

RECORDS, BATCH_SIZE, EPOCHS, TARGET_EPSILON, DELTA = 400, 40, 3, 8.0, 1e-4


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    x = torch.randn(RECORDS, 5)
    rows = TensorDataset(x, (x.sum(1) > 0).float())
    steps, q = EPOCHS * RECORDS // BATCH_SIZE, BATCH_SIZE / RECORDS
    noise_multiplier = calibration.noise_multiplier_for(TARGET_EPSILON, DELTA, q, steps)
    model = torch.nn.Linear(5, 1)
    model, optimizer, loader = PrivacyEngine().make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.5),
        data_loader=DataLoader(rows, batch_size=BATCH_SIZE, generator=from_the_os()),
        noise_multiplier=noise_multiplier,
        max_grad_norm=1.0,
        noise_generator=from_the_os(),
    )
    priced = calibration.event(noise_multiplier, q, steps)
    key = secrets.token_bytes(32)  # + keep it with the data: without it the fingerprint confirms nothing
    declared = declaration(  # +
        recipe="opacus-loop",
        records=RECORDS,
        fingerprint=fingerprint(((*row.tolist(), float(label)) for row, label in rows), key),
        privacy_unit="one made-up row",
        expected_batch_size=BATCH_SIZE,
        noise_multiplier=noise_multiplier,
        clip_norm=1.0,
        steps_accounted=steps,
        randomness="os-entropy",
        target_epsilon=TARGET_EPSILON,
        delta=DELTA,
        priced=calibration.as_json(priced),
        calibrated={"pld": calibration.epsilon(priced, DELTA)},
    )
    with recorded(out / "ledger.json", declared, optimizer) as run:  # +
        for _ in range(EPOCHS):
            for features, label in loader:
                optimizer.zero_grad()
                torch.nn.functional.binary_cross_entropy_with_logits(model(features)[:, 0], label).backward()
                optimizer.step()
        run.access("accuracy on the training rows, printed", covered=False, why="read without noise")  # +
        accuracy = ((model(x)[:, 0] > 0).float() == rows.tensors[1]).float().mean()
    torch.save(model.state_dict(), out / "model.pt")
    print(f"accuracy {accuracy:.2f}; {out / 'ledger.json'}")


def from_the_os() -> torch.Generator:
    """Whoever knows a seed can subtract the noise: this one is drawn from the operating system and kept nowhere."""
    return torch.Generator().manual_seed(secrets.randbits(63))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
