"""What a run is: a recipe file, resolved for one variant, scale, dataset and ε.

A recipe (`reimpl/recipes/<id>.toml`, or any TOML file) has these tables. A value is plain, or carries its source
as `{ value = 256, source = "genie_train.sh:12" }`; the sources end up in `Recipe.sources` under a dotted key.

    version = 1
    id, paper, adapter                 adapter: diffuseq | seqdiffuseq | genie | causal | seq2seq
    epsilons = [8, 3, "inf"]           those of the paper; --epsilon may be any, the first without it
    [training]                         the fields of `Training`
    [without-dp.training]              the same, where runs without DP (ε = inf) had other values
    [model] [generation] [evaluation]  free: for the adapter, generate.py and evaluate.py
    [dataset.<name>]                   the fields of `Data`, one table a dataset
    [as-published] [corrected]         switches (see SWITCHES); what is left out is the first, clean, choice
    [as-published.dataset.<name>] ...  switches of a variant that differ for one dataset
    [scale.smoke] [scale.small]        tables training, model, generation, evaluation, data laid over the above
    [as-published.training] ...        the same, for one variant

The order of laying over is base, without-dp, variant, scale. The published scale needs no table. Switches and
[without-dp.training] are checked whole, whichever run is asked for.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recipes"
VARIANTS, SCALES = ("corrected", "as-published"), ("smoke", "small", "published")
ADAPTERS = ("diffuseq", "seqdiffuseq", "genie", "causal", "seq2seq")
PARTS = ("training", "model", "generation", "evaluation", "data")
TABLES = ("training", "model", "generation", "evaluation", "dataset", "without-dp", "scale", *VARIANTS)
OUTER = ("dataset", "without-dp", "scale")  # hold tables only
TOP = ("version", "id", "paper", "adapter", "epsilons", *TABLES)

SWITCHES: dict[str, tuple[str, ...]] = {  # the first choice is the clean one
    "position_gradient": ("per-record", "batch-shared"),
    "embedding_gradient": ("exact", "as-hooked"),  # as Opacus hooks it: pad rows counted, a shared table per name
    "timestep_sampler": ("uniform", "loss-aware"),
    "noise_schedule": ("fixed", "adaptive-private"),
    "self_conditioning": ("per-record", "per-batch"),
    "loss_reduction": ("per-record-mean", "batch-token-mean"),
    "noise_seed": ("none",),  # or an integer
    "sampler": ("poisson", "shuffle-each-epoch"),
    "empty_batch": ("noise", "skip"),
    "steps_counted": ("logical", "physical"),
    "steps_rounding": ("none", "whole-epochs"),
    "class_balance": ("none", "fixed-n", "minimum"),
    "learning_rate_schedule": ("linear", "constant", "linear-unfloored", "linear-physical", "stuck-at-zero"),
}

WHY_EPSILON_FAILS: dict[tuple[str, str], str] = {
    ("position_gradient", "batch-shared"): "the gradient of the position table is one for the whole batch, so a record "
    "moves the clipped sum by more than the clip norm",
    ("timestep_sampler", "loss-aware"): "timesteps and weights follow raw private losses, which nothing pays for",
    (
        "loss_reduction",
        "batch-token-mean",
    ): "a loss is divided by the token count of the batch, which other records set",
    ("noise_schedule", "adaptive-private"): "the noise schedule is fitted to raw private losses and is released",
    ("sampler", "shuffle-each-epoch"): "the accountant assumes Poisson sampling; batches come from a shuffled pass",
    ("empty_batch", "skip"): "an empty batch is neither noised nor counted, so whether one occurred can be seen",
    ("steps_counted", "physical"): "the steps run are not the steps accounted for",
    ("class_balance", "fixed-n"): "a record that joins a full class may push another out: two records change",
    ("class_balance", "minimum"): "one record of the smallest class adds or removes one record of every class",
}
SEED_FAILS = "noise and sampling come from a known seed: whoever knows it subtracts the noise"


class RecipeError(ValueError):
    """A recipe or a choice that is not what it should be: file, key, what was expected."""


@dataclass(frozen=True)
class Training:
    """How it is trained. Exactly one of steps (logical) and epochs is given."""

    batch_size: int  # expected logical batch: q = batch_size / records
    learning_rate: float
    clip_norm: float
    max_physical_batch_size: int = 64
    steps: int | None = None
    epochs: float | None = None
    weight_decay: float = 0.0  # AdamW
    warmup_steps: int = 0
    ema_decay: float = 0.0  # 0: the weights themselves are saved
    frozen: tuple[str, ...] = ()  # fnmatch patterns of parameter names
    start: str = "random"  # a folder, a hub name, or "random"
    checkpoint_every: int = 100  # logical steps

    def steps_for(self, records: int) -> int:
        """Logical steps over that many records."""
        if self.steps is not None:
            return self.steps
        return math.ceil((self.epochs or 0) * records / self.batch_size)


@dataclass(frozen=True)
class Data:
    """What it is trained on. `delta` is a number, or "1/(10N)" as published (N then has to be public)."""

    name: str
    privacy_unit: str = "one record"
    group_size: int = 1  # most records of one unit
    unit_is_person: bool = False  # then the first group_size records of a person are kept; else a record is a unit
    delta: float | str = "1/(10N)"
    records: int | None = None  # published training size, a public constant
    manifest: str | None = None
    prompts: tuple[str, ...] = ()  # source text of each label
    labels: tuple[str, ...] = ()  # of the same length
    class_size: int | None = None  # with class_balance = "fixed-n"
    vocabulary: str = "generated"  # a tokenizer folder or hub name; "generated": that of reimpl.vocabulary
    source: str = "generated"  # as reimpl.data.load takes it: "generated", a file, a folder, hf:OWNER/NAME

    def delta_for(self, records: int) -> float:
        return 1 / (10 * records) if self.delta == "1/(10N)" else float(self.delta)


@dataclass(frozen=True)
class Recipe:
    """A run, fully resolved. `switches` holds every key of SWITCHES (noise_seed: "none" or digits)."""

    id: str
    paper: str
    adapter: str
    variant: str
    scale: str
    epsilon: float
    training: Training
    data: Data
    switches: Mapping[str, str]
    model: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def private(self) -> bool:
        return math.isfinite(self.epsilon)

    @property
    def noise_seed(self) -> int | None:
        seed = self.switches["noise_seed"]
        return None if seed == "none" else int(seed)

    def why_epsilon_fails(self) -> list[str]:
        """One sentence for each switch under which the ε that was calibrated for is not the ε that holds."""
        found = [f"{key} = {value}: {WHY_EPSILON_FAILS[key, value]}" for key, value in self.switches.items()
                 if (key, value) in WHY_EPSILON_FAILS]  # fmt: skip
        return found if self.noise_seed is None else [*found, f"noise_seed = {self.noise_seed}: {SEED_FAILS}"]

    def as_json(self) -> str:
        """recipe.json of an OUT folder; `from_json` reads it back."""
        content = asdict(self) | {"epsilon": self.epsilon if self.private else "inf"}
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        content = json.loads(text)
        training = content["training"] | {"frozen": tuple(content["training"]["frozen"])}
        data = content["data"] | {key: tuple(content["data"][key]) for key in ("prompts", "labels")}
        parts = {"training": Training(**training), "data": Data(**data), "epsilon": float(content["epsilon"])}
        return cls(**(content | parts))


def names() -> list[str]:
    """The ids of the built-in recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(
    name: str,
    *,
    variant: str = "corrected",
    scale: str = "published",
    dataset: str | None = None,
    epsilon: float | None = None,
) -> Recipe:
    """The recipe of an id or a TOML file, resolved. dataset: the first of the file without one; epsilon likewise.

    RecipeError: no such recipe, an unknown key or choice, a value of the wrong kind, no ε in the file nor asked for.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    content = _read(path, name)
    sources: dict[str, str] = {}
    content = _plain(content, "", sources)
    for what, chosen, known in (("variant", variant, VARIANTS), ("scale", scale, SCALES)):
        if chosen not in known:
            raise RecipeError(f"{what}: expected one of {', '.join(known)}; got {chosen!r}")
    _tables(path, content)
    _known_content(path, content)
    datasets = content.get("dataset", {})
    dataset = dataset or next(iter(datasets), None)
    if dataset is None or dataset not in datasets:
        raise RecipeError(f"{path.name}: dataset: expected one of {', '.join(datasets)}; got {dataset!r}")
    chosen_epsilon = _epsilon(path, content.get("epsilons", []), epsilon)
    without_dp = {} if math.isfinite(chosen_epsilon) else content.get("without-dp", {})
    parts = {part: dict(content.get(part, {})) for part in PARTS} | {"data": {"name": dataset, **datasets[dataset]}}
    for overlay in (without_dp, content.get(variant, {}), content.get("scale", {}).get(scale, {})):
        for part in PARTS:
            parts[part] |= overlay.get(part, {})
    training, data = _fields(path, "training", Training, parts), _fields(path, "data", Data, parts)
    if (training.steps is None) == (training.epochs is None):
        raise RecipeError(f"{path.name}: training: expected exactly one of steps and epochs")
    if len(data.prompts) != len(data.labels):
        raise RecipeError(f"{path.name}: dataset.{dataset}: expected as many prompts as labels")
    if (adapter := content.get("adapter")) not in ADAPTERS:
        raise RecipeError(f"{path.name}: adapter: expected one of {', '.join(ADAPTERS)}; got {adapter!r}")
    return Recipe(
        id=content["id"],
        paper=content.get("paper", ""),
        adapter=adapter,
        variant=variant,
        scale=scale,
        epsilon=chosen_epsilon,
        training=training,
        data=data,
        switches=_switches(content.get(variant, {}), dataset),
        **{part: parts[part] for part in ("model", "generation", "evaluation")},
        sources=sources,
    )


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no recipe {name!r}; expected one of {', '.join(names())}, or a .toml file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: expected a readable TOML recipe ({error})") from None
    if content.get("version") != 1 or not isinstance(content.get("id"), str):
        raise RecipeError(f"{path}: expected version = 1 and an id")
    return content


def _plain(value: Any, place: str, sources: dict[str, str]) -> Any:
    """Without the sources, which are collected by dotted key."""
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"value", "source"}:
        sources[place] = value["source"]
        return value["value"]
    return {key: _plain(inner, f"{place}.{key}" if place else key, sources) for key, inner in value.items()}


def _epsilon(path: Path, listed: Any, asked: float | None) -> float:
    """What is asked for, else the first that is listed. Silence is refused: it is no wish to train without DP."""
    numbers: list[Any] = listed if isinstance(listed, list) else [None]
    try:
        values = [float(value) for value in numbers]
    except (TypeError, ValueError):
        raise RecipeError(f'{path.name}: epsilons: expected numbers or "inf"; got {listed!r}') from None
    if asked is None and not values:
        raise RecipeError(f"{path.name}: epsilons: none listed; give --epsilon (inf trains without DP)")
    chosen = values[0] if asked is None else asked
    if not chosen > 0:
        raise RecipeError(f"epsilon: expected a number above 0, or inf; got {chosen}")
    return chosen


def _tables(path: Path, content: Mapping[str, Any]) -> None:
    """RecipeError where a value stands in place of a table."""
    for place, value in _places(content):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{path.name}: {place}: expected a table; got {value!r}")


def _places(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Where the schema has a table, outer ones first, with what stands there."""
    for outer in TABLES:
        table = content.get(outer, {})
        yield outer, table
        inner = (*PARTS, "dataset") if outer in VARIANTS else table if outer in OUTER else ()
        yield from ((f"{outer}.{key}", table[key]) for key in inner if key in table)
    nested = [("scale", scale) for scale in content.get("scale", {})]
    nested += [(variant, "dataset") for variant in VARIANTS if "dataset" in content.get(variant, {})]
    for outer, key in nested:
        yield from ((f"{outer}.{key}.{last}", value) for last, value in content[outer][key].items())


def _known_content(path: Path, content: Mapping[str, Any]) -> None:
    """RecipeError for a key, switch or dataset that nothing reads, whichever run is asked for."""
    _known_keys(path, "", content, TOP)
    _known_keys(path, "scale", content.get("scale", {}), SCALES)
    for scale, table in content.get("scale", {}).items():
        _known_keys(path, f"scale.{scale}", table, PARTS)
    without_dp = content.get("without-dp", {})
    _known_keys(path, "without-dp", without_dp, ("training",))
    _known_fields(path, "without-dp.training", Training, without_dp.get("training", {}))
    for variant in VARIANTS:
        table = content.get(variant, {})
        of_datasets = table.get("dataset", {})
        _known_switches(path, variant, {k: v for k, v in table.items() if k not in (*PARTS, "dataset")})
        _known_keys(path, f"{variant}.dataset", of_datasets, tuple(content.get("dataset", {})))
        for dataset, switches in of_datasets.items():
            _known_switches(path, f"{variant}.dataset.{dataset}", switches)


def _known_keys(path: Path, place: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise RecipeError(f"{path.name}: {place}{'.' if place else ''}{key}: unknown; expected {', '.join(known)}")


def _fields(path: Path, part: str, kind: Any, parts: Mapping[str, Any]) -> Any:
    """A Training or Data, every key known and of the declared kind."""
    table = _known_fields(path, part, kind, parts[part])
    missing = [f.name for f in fields(kind) if f.default is MISSING and f.name not in table]
    if missing:
        raise RecipeError(f"{path.name}: {part}: {', '.join(missing)} missing")
    return kind(**table)


def _known_fields(path: Path, place: str, kind: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with tuples for lists. RecipeError for a key that is no field of kind, or a value not of its type."""
    declared = {f.name: str(f.type) for f in fields(kind)}
    _known_keys(path, place, table, tuple(declared))
    found = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    for key, value in found.items():
        if not _fits(value, declared[key]):
            raise RecipeError(f"{path.name}: {place}.{key}: expected {declared[key]}; got {value!r}")
    return found


def _fits(value: Any, declared: str) -> bool:
    kinds = declared.split(" | ")
    return any(fits for fits in _kinds(value, kinds))


def _kinds(value: Any, kinds: list[str]) -> Iterator[bool]:
    number = isinstance(value, int) and not isinstance(value, bool)
    yield "int" in kinds and number and value >= 0
    yield "float" in kinds and (number or isinstance(value, float)) and value >= 0
    yield "str" in kinds and isinstance(value, str)
    yield "bool" in kinds and isinstance(value, bool)
    yield "tuple[str, ...]" in kinds and isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def _known_switches(path: Path, place: str, table: Mapping[str, Any]) -> None:
    _known_keys(path, place, table, tuple(SWITCHES))
    for key, value in table.items():
        digits = key == "noise_seed" and str(value).isdecimal()
        if str(value) not in SWITCHES[key] and not digits:
            raise RecipeError(f"{path.name}: {place}.{key}: expected one of {', '.join(SWITCHES[key])}; got {value!r}")


def _switches(variant: Mapping[str, Any], dataset: str) -> dict[str, str]:
    """Every switch: the clean choice, under that of the variant, under that of the variant for this dataset."""
    chosen = {**variant, **variant.get("dataset", {}).get(dataset, {})}
    return {key: str(chosen.get(key, choices[0])) for key, choices in SWITCHES.items()}
