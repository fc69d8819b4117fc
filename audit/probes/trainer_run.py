"""A run of a transformers Trainer whose model and optimiser are Opacus' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audit.probes.opacus_run import opacus_run
from audit.probes.step import Example, Run
from audit.probes.tied import tied


def trainer_run(
    trainer: Any,
    loader: Any = None,
    *,
    epochs: int | None = None,
    released: Callable[[], Mapping[str, Any]] = dict,
) -> Run:
    """A `Run` of `trainer`, whose `model` and `optimizer` came out of `PrivacyEngine.make_private`.

    A logical step is the trainer's own `training_step` (its collator, its loss, its backward) on each physical batch
    of `args.per_device_train_batch_size` records, then one step of its optimizer and of its learning-rate scheduler.
    Its outer loop, callbacks and logging do not run: name what they write in `released`.

    Args:
        loader: the private loader, for its sampler; None: sampling is not judged.
        epochs: passes over `loader`.
    """

    trainer.current_gradient_accumulation_steps = 1  # the trainer's outer loop sets it: Opacus accumulates instead

    def step(batch: Sequence[Example]) -> None:
        size = trainer.args.per_device_train_batch_size
        chunks = [batch[start : start + size] for start in range(0, len(batch), size)] or [batch]
        for number, chunk in enumerate(chunks, 1):
            trainer.optimizer.signal_skip_step(do_skip=number < len(chunks))
            with tied(chunk):
                trainer.training_step(trainer.model, trainer.data_collator([example.record for example in chunk]))
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
        if trainer.lr_scheduler is not None:
            trainer.lr_scheduler.step()

    return opacus_run(trainer.model, trainer.optimizer, loader, step, epochs=epochs, released=released)
