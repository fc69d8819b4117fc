"""What `audit run TARGET` names: a built-in card, or a folder that holds a card and what belongs to it."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audit.cards import built_in_cards, built_in_manifests, load_card, load_manifest, own_manifests
from audit.types import Manifest, PaperCard

PREFIX = "prior-work/"


class TargetError(ValueError):
    """A target that names nothing; one line with what to do."""


@dataclass(frozen=True)
class Target:
    """A card, the SHA-256 of its file, its manifests, and the data, corpora and code that lie beside it."""

    card: PaperCard
    card_sha256: str
    manifests: Mapping[str, Manifest]
    data: Mapping[str, str] = field(default_factory=dict)
    corpora: Mapping[str, str] = field(default_factory=dict)
    code: Path | None = None
    ledgers: tuple[Path, ...] = ()
    built_in: bool = False  # only a card that comes with the package may name code to run


def resolve(target: str | Path) -> Target:
    """The card and companions that `target` names.

    A folder with a card.toml wins over a built-in card of the same name; it may hold `manifests/*.toml`,
    `data/<dataset>.<ending>`, `corpora/<corpus>.<ending>`, `code/` and `ledgers/` (one *.json a run, or its folder).

    Raises:
        TargetError: neither a folder with a card.toml nor a built-in paper.
        CardError: the card or a manifest does not hold what it should.
    """
    folder = Path(target).parent if Path(target).name == "card.toml" else Path(target)
    if (folder / "card.toml").is_file():
        return _from_folder(folder)
    name = str(target).rstrip("/")
    papers = built_in_cards()
    ident = name.removeprefix(PREFIX)
    if ident in papers and (name.startswith(PREFIX) or not folder.exists()):
        return _built_in(papers[ident])
    if folder.is_dir():
        raise TargetError(f"{target}: expected a card.toml in this folder; the README shows one")
    raise TargetError(_unknown(name, ident, sorted(papers)))


def card_path(target: str | Path) -> str:
    """Where the target's card stands, as a reader of the repository would name it; never an absolute path."""
    folder = Path(target).parent if Path(target).name == "card.toml" else Path(target)
    if not (folder / "card.toml").is_file():
        return f"audit/papers/{str(target).rstrip('/').removeprefix(PREFIX)}.toml"
    relative = Path(os.path.relpath(folder / "card.toml")).as_posix()
    return "card.toml" if relative.startswith("..") else relative


def _unknown(name: str, ident: str, papers: list[str]) -> str:
    close = difflib.get_close_matches(ident, papers, n=1, cutoff=0.5)
    hint = f"did you mean {PREFIX}{close[0]}? " if close else ""
    return f"{name}: no such paper or folder; {hint}`audit list papers` names those built in"


def _built_in(path: Path) -> Target:
    manifests = {i: load_manifest(p) for i, p in built_in_manifests().items()}
    return Target(load_card(path), _sha256(path), manifests, built_in=True)


def _from_folder(folder: Path) -> Target:
    manifests = {i: load_manifest(p) for i, p in built_in_manifests().items()}
    manifests |= {manifest.id: manifest for manifest in map(load_manifest, own_manifests(folder))}
    code = folder / "code"
    return Target(
        load_card(folder / "card.toml", manifests),
        _sha256(folder / "card.toml"),
        manifests,
        _named_files(folder / "data"),
        _named_files(folder / "corpora"),
        code if code.is_dir() else None,
        tuple(sorted(path for path in (folder / "ledgers").glob("*") if path.is_dir() or path.suffix == ".json")),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _named_files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.glob("*") if not path.name.startswith("."))
    return {path.name.split(".")[0]: str(path) for path in paths}
