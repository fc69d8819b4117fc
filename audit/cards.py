"""TOML to card or manifest, and every complaint about a bad one: file, key, what was expected, what to do.

Nothing named inside a card is opened, imported or fetched; a card is text until a model accepts it.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from audit.types import AuditResult, Ledger, Manifest, PaperCard

MAX_BYTES = 5_000_000
MAX_STRING = 4_000
MAX_DEPTH = 12
MOST_COMPLAINTS = 20

# Also line and paragraph separators; spaces of other widths are harmless and come with text pasted from a PDF.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]


class CardError(ValueError):
    """A card or manifest that cannot be used; one line a complaint: file, key, what was expected, what to do."""

    def __init__(self, path: Path, complaints: Iterable[str]) -> None:
        found = list(dict.fromkeys(complaints))
        more = len(found) - MOST_COMPLAINTS
        shown = found[:MOST_COMPLAINTS] + ([f"{more} more complaints; mend these first"] if more > 0 else [])
        self.complaints = tuple(f"{path}: {text}" for text in shown)
        super().__init__("\n".join(self.complaints))


def load_card(path: str | Path, manifests: Collection[str] | None = None) -> PaperCard:
    """The card in the TOML file `path`.

    Args:
        path: a UTF-8 TOML file of at most 5 MB.
        manifests: ids of the manifests at hand; a dataset or corpus may name no other. None: not looked at.

    Raises:
        CardError: the file cannot be read, or is not a card; it holds every complaint.
    """
    card = _load(Path(path), PaperCard)
    complaints = [f"{place}: {what}" for place, what in _unresolved(card, manifests)]
    if complaints:
        raise CardError(Path(path), complaints)
    return card


def load_manifest(path: str | Path) -> Manifest:
    """The manifest in the TOML file `path`; raises CardError as `load_card` does."""
    return _load(Path(path), Manifest)


def built_in_cards() -> dict[str, Path]:
    """Cards that come with the package: id -> file."""
    return _toml_files(Path(str(files("audit") / "papers")))


def built_in_manifests() -> dict[str, Path]:
    """Manifests that come with the package: id -> file."""
    return _toml_files(Path(str(files("data_manifests"))))


def own_manifests(folder: Path) -> list[Path]:
    """The manifests that lie beside a card: manifests/*.toml in its folder."""
    return sorted((folder / "manifests").glob("*.toml"))


def manifest_ids(folder: Path) -> set[str]:
    """Ids that a card in `folder` may name: those built in and those of the readable manifests beside it."""
    ids = set(built_in_manifests())
    for path in own_manifests(folder):
        with suppress(CardError):
            ids.add(load_manifest(path).id)
    return ids


def _toml_files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


# ---------------------------------------------------------------- reading


def _load(path: Path, model: type[M]) -> M:
    data = _parse(path)
    unfit = [f"{_dotted(data, place)}: {what}" for place, what in _unfit_strings(data, ())]
    if unfit:
        raise CardError(path, unfit)
    # By way of JSON, where strict means: arrays are tuples, strings are enum members, "32" is no number.
    text = json.dumps(_unstated_to_null(data), default=str)
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise CardError(path, _complaints(error, data, model)) from None


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise CardError(path, [f"not valid TOML: {_shown(str(error))}; correct the syntax there"]) from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, CardError):
            raise
        what = "not usable TOML: expected shallow tables and numbers of ordinary size; simplify it"
        raise CardError(path, [what]) from None


def _read(path: Path) -> str:
    if path.is_dir():
        raise CardError(path, ["a folder; expected a TOML file, give the path of the card.toml in it"])
    if not path.is_file():
        raise CardError(path, ["no such file; expected a TOML file, give its path"])
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise CardError(path, [f"cannot be read ({error.strerror}); make it readable"]) from None
    if len(raw) > MAX_BYTES:
        raise CardError(path, ["larger than 5 MB; expected a card or manifest, shorten it"])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CardError(path, [f"line {line}: expected UTF-8; save the file in that encoding"]) from None


def _unstated_to_null(node: Any) -> Any:
    """`stated = false` in place of `value` (TOML has no null): the source was read whole and is silent."""
    if isinstance(node, list):
        return [_unstated_to_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("stated") is False and "value" not in node:
        node = {"value": None} | {key: item for key, item in node.items() if key != "stated"}
    return {key: _unstated_to_null(item) for key, item in node.items()}


# ---------------------------------------------------------------- complaints


def _unfit_strings(node: Any, place: Path_) -> Iterator[tuple[Path_, str]]:
    """Strings that no field takes: too long, or with control characters, which would reach a terminal."""
    if len(place) > MAX_DEPTH:
        yield place[:3], f"expected at most {MAX_DEPTH} levels of nesting; flatten it"
    elif isinstance(node, str):
        if len(node) > MAX_STRING:
            yield place, f"expected at most {MAX_STRING} characters, found {len(node):,}; shorten it"
        elif _CONTROL.search(node):
            yield place, "expected text without control characters; remove them"
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _unfit_strings(item, (*place, index))
    elif isinstance(node, dict):
        for key, item in node.items():
            yield from _unfit_strings(item, (*place, key))


def _complaints(error: ValidationError, data: Any, model: type[BaseModel]) -> Iterator[str]:
    """A line for each place with a problem, all alternatives of a union joined by "or"; misspelt keys first."""
    by_place: dict[Path_, list[Any]] = {}
    for problem in error.errors(include_url=False, include_input=False):
        by_place.setdefault(_place(problem, data), []).append(problem)
    unknown = {place: _closest_key(place, model) for place, same in by_place.items() if _is_unknown(same)}
    explained = {(*place[:-1], close) for place, close in unknown.items()}
    for place, close in unknown.items():
        yield f"{_dotted(data, place)}: {_unknown_key(place, close)}"
    for place, same in by_place.items():
        if place in unknown or (_is_missing(same) and place in explained) or _is_refined(place, by_place, data):
            continue
        what = "this key is expected here; add it" if _is_missing(same) else _expected(same)
        yield from (f"{_dotted(data, place)}: {line}" for line in what.split("\n"))


def _is_unknown(problems: list[Any]) -> bool:
    return any(problem["type"] == "extra_forbidden" for problem in problems)


def _is_missing(problems: list[Any]) -> bool:
    return all(problem["type"] == "missing" for problem in problems)


def _is_refined(place: Path_, others: Collection[Path_], data: Any) -> bool:
    """Is the value there a table, with problems inside it that say more than "expected a number"?"""
    node = data
    for part in place:
        node = _at(node, part)
    return isinstance(node, dict) and any(len(o) > len(place) > 0 and o[: len(place)] == place for o in others)


def _place(problem: Any, data: Any) -> Path_:
    """A problem's location without pydantic's names for the alternatives of a union."""
    node: Any = data
    place: list[str | int] = []
    for part in problem["loc"]:
        if (isinstance(node, dict) and part in node) or (isinstance(node, list) and isinstance(part, int)):
            node = node[part]
            place.append(part)
    if problem["type"] == "missing":
        place.append(problem["loc"][-1])
    return tuple(place)


def _expected(problems: list[Any]) -> str:
    if problems[0]["type"] == "value_error":
        lines = str(problems[0]["ctx"]["error"]).split("\n")
        return "\n".join(_shown(line, 300) for line in lines)
    wanted = dict.fromkeys(_wanted(problem) for problem in problems)
    return f"expected {_shown(' or '.join(wanted), 300)}; correct the value"


def _wanted(problem: Any) -> str:
    if problem["type"] == "string_pattern_mismatch":
        hash_ = "64}$" in problem["ctx"]["pattern"]
        return "64 hex digits" if hash_ else "lower-case letters, digits, '.' and '-', at most 64 of them"
    return re.sub(r"^\w+ should (be|have) (a valid )?|, not \d+$| after validation", "", problem["msg"])


def _closest_key(place: Path_, model: type[BaseModel]) -> str | None:
    close = difflib.get_close_matches(str(place[-1])[:80], _known_keys(place[:-1], model), n=1, cutoff=0.0)
    return close[0] if close else None


def _unknown_key(place: Path_, close: str | None) -> str:
    near = f"the closest known key is {close!r}" if close else "no keys are known here"
    return f"unknown key {_shown(str(place[-1]))!r}; {near}, rename or remove it"


def _known_keys(place: Path_, model: type[BaseModel]) -> list[str]:
    """Keys that the table at `place` may have, read off the model's schema."""
    root = model.model_json_schema()
    nodes = [root]
    for part in place:
        nodes = [below for node in nodes for below in _below(_resolved(node, root), part, root)]
    options = [option for node in nodes for option in _resolved(node, root)]
    return sorted({key for option in options for key in option.get("properties", {})})


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _resolved(root["$defs"][node["$ref"].rsplit("/", 1)[-1]], root)
    return [found for option in node.get("anyOf", ()) for found in _resolved(option, root)] or [node]


def _below(options: list[dict[str, Any]], part: str | int, root: dict[str, Any]) -> list[dict[str, Any]]:
    if isinstance(part, int):
        return [option["items"] for option in options if "items" in option]
    return [option["properties"][part] for option in options if part in option.get("properties", {})]


def _dotted(data: Any, place: Path_) -> str:
    """`mechanism[2].batch_size.value (in "phi")`."""
    node: Any = data
    text, owner = "", None
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}"
        node = _at(node, part)
        if isinstance(part, int) and isinstance(node, dict):
            owner = node.get("id", node.get("name"))
    where = f' (in "{_shown(owner)}")' if isinstance(owner, str) else ""
    return (text.lstrip(".") or "top level") + where


def _at(node: Any, part: str | int) -> Any:
    try:
        return node[part]
    except (KeyError, IndexError, TypeError):
        return None


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key) else f'"{_shown(key)}"'


def _shown(text: str, limit: int = 160) -> str:
    """Any text as one printable line."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _unresolved(card: PaperCard, manifests: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """References inside a card, and to manifests, that name nothing; ids given twice."""
    mechanisms = {item.id for item in card.mechanism}
    named: Mapping[str, list[str]] = {
        "sources": [item.id for item in card.sources],
        "dataset": [item.name for item in card.dataset],
        "corpus": [item.name for item in card.corpus],
        "mechanism": [item.id for item in card.mechanism],
        "claim": [item.id for item in card.claim],
        "evaluation": [item.id for item in card.evaluation],
        "observation": [item.id for item in card.observation],
    }
    for table, names in named.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                yield f"{table}[{index}]", f"{name!r} is there already; expected each name once, rename one"
    yield from _unknown_mechanisms(card, mechanisms)
    if manifests is not None:
        yield from _unknown_manifests(card, manifests)


def _unknown_mechanisms(card: PaperCard, mechanisms: set[str]) -> Iterator[tuple[str, str]]:
    users = [(f"corpus[{i}]", use.mechanisms) for i, use in enumerate(card.corpus)]
    users += [(f"observation[{i}]", item.mechanisms) for i, item in enumerate(card.observation)]
    for place, names in users:
        for name in names:
            if name not in mechanisms:
                yield f"{place}.mechanisms", f"no [[mechanism]] has id {name!r}; correct the name or add it"


def _unknown_manifests(card: PaperCard, manifests: Collection[str]) -> Iterator[tuple[str, str]]:
    uses = [(f"dataset[{i}]", use.name, use.manifest) for i, use in enumerate(card.dataset)]
    uses += [(f"corpus[{i}]", use.name, use.manifest) for i, use in enumerate(card.corpus)]
    for place, name, manifest in uses:
        if manifest is not None and manifest not in manifests:
            close = difflib.get_close_matches(manifest, manifests, n=1, cutoff=0.0)
            near = f" (the closest is {close[0]!r})" if close else ""
            what = f"no manifest has id {manifest!r}{near}; correct the name, add manifests/{manifest}.toml beside the "
            what += "card, or leave the key out"
            yield f'{place}.manifest (in "{name}")', what


# ---------------------------------------------------------------- schemas


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (2020-12) of each format: card and manifest as TOML has them, ledger and result as JSON."""
    return {
        "card": _schema("card", PaperCard),
        "manifest": _schema("manifest", Manifest),
        "ledger": _schema("ledger", Ledger),
        "result": _schema("result", AuditResult, mode="serialization"),
    }


def schema_text(name: str) -> str:
    """The schema as the bytes that are committed under audit/schemas; KeyError for an unknown name."""
    return json.dumps(schemas()[name], indent=2, sort_keys=True) + "\n"


def _schema(name: str, model: type[BaseModel], mode: Any = "validation") -> dict[str, Any]:
    schema = _with_short_names(model.model_json_schema(mode=mode))
    for title, definition in schema.get("$defs", {}).items():
        if title.startswith("Fact"):
            _allow_unstated(definition)
    return schema | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:dp-claim-audit:schema:{name}:1",
        "title": f"dp-claim-audit {name}",
    }


def _with_short_names(schema: dict[str, Any]) -> dict[str, Any]:
    """Fact1, Fact2, … in order of use: pydantic's own names spell out type parameters as its version sees them."""
    text = json.dumps(schema, sort_keys=True)
    for number, name in enumerate(dict.fromkeys(re.findall(r'"#/\$defs/(Fact_[^"]+)"', text)), start=1):
        text = text.replace(f'"#/$defs/{name}"', f'"#/$defs/Fact{number}"').replace(f'"{name}": ', f'"Fact{number}": ')
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def _allow_unstated(definition: dict[str, Any]) -> None:
    """In TOML a fact has a value, or says `stated = false`."""
    definition["title"] = "Fact"
    definition["properties"]["stated"] = {"const": False, "title": "Stated"}
    definition["required"] = [key for key in definition["required"] if key != "value"]
    definition["oneOf"] = [{"required": ["value"]}, {"required": ["stated"]}]
