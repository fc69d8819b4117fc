"""A commented card and manifest for one's own paper, from a few answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from audit.cards import CardError, load_card, load_manifest
from audit.files import write_atomically
from audit.target import TargetError


@dataclass(frozen=True)
class Answers:
    """What a card starts from; None: not said, and left in the card as a comment to fill in."""

    paper: str
    title: str
    model: str
    dataset: str
    epsilon: float
    delta: str
    records: int | None = None
    batch_size: int | None = None
    epochs: int | None = None
    noise_multiplier: float | None = None
    clip_norm: float | None = None
    accountant: str | None = None
    sampler: str | None = None
    privacy_unit: str | None = None
    text_column: str | None = None
    unit_column: str | None = None


def write_card(folder: Path, answers: Answers) -> tuple[Path, Path]:
    """Write card.toml and manifests/<dataset>.toml into `folder`; both or none, and never over a file.

    Raises:
        TargetError: one of the files is there already, or an answer does not fit its key.
    """
    card, manifest = folder / "card.toml", folder / "manifests" / f"{answers.dataset}.toml"
    for path in (card, manifest):
        if path.exists():
            raise TargetError(f"{path}: is there already; edit it, or give another folder")
    texts = dict(zip((card, manifest), _texts(answers), strict=True))
    _require_valid(folder, texts)
    try:
        for path, text in texts.items():
            write_atomically(path, text)
    except OSError as error:
        raise TargetError(f"{error.filename or folder}: cannot be written ({error.strerror})") from None
    return card, manifest


def _require_valid(folder: Path, texts: dict[Path, str]) -> None:
    """Read what would be written, from a place of its own, before anything is written."""
    with TemporaryDirectory() as scratch:
        for path, text in texts.items():
            draft = Path(scratch) / path.name
            draft.write_text(text, encoding="utf-8")
            try:
                (load_card if path.name == "card.toml" else load_manifest)(draft)
            except CardError as error:
                wrong = error.complaints[0].removeprefix(f"{draft}: ")
                raise TargetError(f"{folder}: {wrong}") from None


def _texts(answers: Answers) -> tuple[str, str]:
    """Card and manifest as TOML, with a comment on every fact that is still missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(  # noqa: S701 (TOML, not HTML: the filter quotes every value)
        loader=PackageLoader("audit"), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    made.filters["toml"] = lambda value: json.dumps(value, ensure_ascii=False)  # JSON's escapes are TOML's
    given = {**asdict(answers), "delta": _delta(answers.delta)}
    card, manifest = (made.get_template(f"{name}.toml.j2").render(given) for name in ("card", "manifest"))
    return card, manifest


def _delta(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # a rule such as "1/(10N)"
