"""The nouns: card, manifest, subject data, finding, skip, evidence, rung, ladder, result.

Everything is a frozen pydantic model that forbids unknown keys; the JSON Schemas of card, manifest and
result are generated from here. Infinite epsilons are legal and written as the string "inf".
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    computed_field,
    model_validator,
)

RESULT_VERSION = 1
CARD_VERSION = 1
MANIFEST_VERSION = 1


class Model(BaseModel):
    """A frozen value that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


# ---------------------------------------------------------------- numbers and strings


def _parse_inf(value: Any) -> Any:
    return math.inf if value == "inf" else value


def _refuse_nan(value: float) -> float:
    if math.isnan(value):
        raise ValueError("must not be NaN")
    return value


def _write_inf(value: float) -> float | str:
    return "inf" if math.isinf(value) else value


Epsilon = Annotated[
    float,
    Field(ge=0),
    BeforeValidator(_parse_inf),
    AfterValidator(_refuse_nan),
    PlainSerializer(_write_inf),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"const": "inf"}]}),
]
Delta = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**12)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=600)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


def round_outward(value: float, *, up: bool, digits: int = 4) -> float:
    """`value` rounded to `digits` significant digits, up or down, so that a bracket only widens."""
    if value == 0 or math.isinf(value):
        return value
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    return float(Context(prec=digits, rounding=rounding).create_decimal(Decimal(repr(value))))


# ---------------------------------------------------------------- enumerations


class Severity(StrEnum):
    """What follows for the claim if the finding is right."""

    HIGH = "high"  # it does not hold as worded
    MEDIUM = "medium"  # it holds only under something unsaid
    LOW = "low"  # it stands, but is hard to repeat or its results mean less than they seem
    INFO = "info"  # worth knowing


class Basis(StrEnum):
    """How a finding is known."""

    SILENCE = "silence"
    PATTERN = "pattern"
    READ = "read"
    COMPUTED = "computed"
    OBSERVED = "observed"


class Confidence(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


CONFIDENCE = {
    Basis.SILENCE: Confidence.LOW,
    Basis.PATTERN: Confidence.LOW,
    Basis.READ: Confidence.MEDIUM,
    Basis.COMPUTED: Confidence.HIGH,
    Basis.OBSERVED: Confidence.HIGH,
}


class Status(StrEnum):
    CLEAN = "clean"
    FOUND = "found"
    SKIPPED = "skipped"
    FAILED = "failed"


class Known(StrEnum):
    """Where a fact on a card comes from. Nothing may rest on SECONDARY or UNCONFIRMED alone."""

    PAPER = "paper"  # read in the paper's own text
    CODE = "code"  # read in the released code at the named commit
    EXECUTED = "executed"  # the released code, or a function of it, was run and watched
    DERIVED = "derived"  # arithmetic from the above, stated in `where`
    SECONDARY = "secondary"  # somebody else's account of it
    UNCONFIRMED = "unconfirmed"


class NeighboringRelation(StrEnum):
    ADD_OR_REMOVE_ONE = "add-or-remove-one"
    REPLACE_ONE = "replace-one"
    REPLACE_SPECIAL = "replace-special"


class Sampler(StrEnum):
    """How records reach a batch."""

    POISSON = "poisson"
    FIXED_SIZE = "fixed-size"
    SHUFFLE_EACH_EPOCH = "shuffle-each-epoch"
    SHUFFLE_ONCE = "shuffle-once"
    DETERMINISTIC = "deterministic"


class DeltaRule(StrEnum):
    """δ as a function of N, the number of training records."""

    ONE_OVER_N = "1/N"
    ONE_OVER_10N = "1/(10N)"
    ONE_OVER_N_LN_N = "1/(N ln N)"


# ---------------------------------------------------------------- facts on a card

T = TypeVar("T")


class Fact(Model, Generic[T]):
    """A value with where it stands and how it is known.

    `value = None` means that the source named in `where` was read whole and does not state it; a fact
    that is left out of the card altogether is "not stated in the sources read".
    """

    value: T | None
    where: Line
    known: Known
    note: Line | None = None

    @property
    def usable(self) -> bool:
        """May a finding rest on this fact alone?"""
        return self.value is not None and self.known not in (Known.SECONDARY, Known.UNCONFIRMED)

    @property
    def absent(self) -> bool:
        """Was the source read whole and found silent?"""
        return self.value is None and self.known in (Known.PAPER, Known.CODE)


class Source(Model):
    """A text or a repository that the card's facts come from."""

    id: Slug
    kind: Literal["paper", "code", "secondary", "data"]
    citation: Line
    url: Line | None = None
    commit: Line | None = None
    read: Line  # what of it was read: "full text", "abstract", "file by file"


class Observation(Model):
    """Something read, computed or seen in released code at a commit. Never about a person."""

    id: Slug
    kind: Slug  # the ident of the check it bears on, or "note"
    mechanisms: tuple[Slug, ...] = ()
    where: Line  # file:line
    commit: Line
    basis: Basis
    what: Text
    figures: tuple[Line, ...] = ()


class DatasetUse(Model):
    """A dataset as this paper uses it."""

    name: Slug
    manifest: Slug | None = None  # left out: no manifest describes it
    records: Fact[Count] | None = None  # training records that the paper's accounting uses as N
    records_per_person_bounded: Fact[bool] | None = None  # is each person limited to one record?
    several_records_per_person: Fact[bool] | None = None  # can a person hold several?
    deduplicated: Fact[bool] | None = None
    validation_inside_train: Fact[bool] | None = None
    class_balance: Fact[Literal["minimum-class-count", "fixed-n", "none"]] | None = None
    classes: Fact[Count] | None = None
    labels_in_data: Fact[tuple[str, ...]] | None = None  # label name at index 0, 1, …
    labels_in_generation: Fact[tuple[str, ...]] | None = None  # the class each index is prompted as


class CorpusUse(Model):
    """A pretraining corpus or public warm start and whether overlap with the private data was looked for."""

    name: Slug
    manifest: Slug | None = None
    mechanisms: tuple[Slug, ...] = ()
    overlap_checked: Fact[bool] | None = None


class StepRule(Model):
    """Whole epochs up to a nominal number of steps; the loader's length counts logical or physical batches."""

    nominal_steps: Count
    counted_in: Literal["logical", "physical"]


class LearningRate(Model):
    """Linear warm-up, `base * min(1, step / warmup_steps)`, and the step it is called with."""

    base: Positive
    warmup_steps: int = Field(ge=0)
    step_argument: Literal["step", "constant"]
    constant_step: int | None = None


class NoisyCounts(Model):
    """Counts of private records that are released with noise beside the training; a record is in one count."""

    what: Line
    noise: Literal["gaussian", "laplace"]
    scale: Fact[Positive]  # standard deviation (gaussian) or scale (laplace) of the noise on each count
    accounted: Fact[bool] | None = None  # is their cost inside the claimed ε? Where not known: read as inside


class Mechanism(Model):
    """How one model was trained: what the accountant was told, and what the code does.

    `gaussian-votes` trains nothing: in each of `steps` rounds every record adds one vote to a histogram that is
    released with Gaussian noise of `noise_multiplier`.
    """

    id: Slug
    recipe: Slug | None = None  # of the reimplementation that trains it
    probe: dict[Slug, Line] = Field(default_factory=dict)  # built-in cards: variant -> module:factory of its step
    model: Line
    kind: Literal["dp-sgd", "gaussian-votes"] = "dp-sgd"
    accountant: Fact[Literal["pld", "rdp", "prv", "gdp", "rdp-old", "moments", "closed-form"]] | None = None
    neighboring_relation: Fact[NeighboringRelation] | None = None
    sampler_accounted: Fact[Sampler] | None = None
    sampler_coded: Fact[Sampler] | None = None
    sampling_rate: Fact[Literal["B/N", "1/ceil(N/B)"]] | None = None  # how q is made; B/N where not stated
    batch_size: Fact[Count] | None = None  # logical
    physical_batch_size: Fact[Count] | None = None
    epochs: Fact[Count] | None = None
    steps: Fact[Count] | None = None  # when the source gives steps outright
    steps_accounted: Fact[StepRule] | None = None
    steps_run: Fact[StepRule | Count] | None = None
    epochs_run: Fact[Count] | None = None  # when the source says how many epochs the loop makes of those accounted
    steps_in_training_script: Fact[Count] | None = None
    steps_of_released_checkpoint: Fact[Count] | None = None
    clip_norm: Fact[Positive] | None = None
    noise_multiplier: Fact[Positive] | None = None
    noise_seed: Fact[int] | None = None  # a seed published with the code that also drives noise and sampling
    secure_noise: Fact[bool] | None = None
    timestep_sampler: Fact[Literal["uniform", "loss-aware"]] | None = None
    noise_schedule: Fact[Literal["fixed", "adaptive-private"]] | None = None
    position_gradient: Fact[Literal["per-record", "batch-shared"]] | None = None
    loss_reduction: Fact[Literal["per-record", "batch-token-mean"]] | None = None
    empty_batch: Fact[Literal["noise", "skip", "crash"]] | None = None
    learning_rate: Fact[LearningRate] | None = None
    dependency_patched: Fact[Line] | None = None
    code_missing: Fact[Line] | None = None
    raw_statistics_released: Fact[Line] | None = None
    raw_statistics_written: Fact[Line] | None = None
    conditioning: Fact[Line] | None = None
    label_distribution: Fact[Literal["uniform", "exact", "noised"]] | None = None
    noisy_counts: tuple[NoisyCounts, ...] = ()
    also_covered: Fact[Line] | None = None  # another mechanism within the claimed ε, of a kind that is not priced here
    selection: Fact[Line] | None = None  # checkpoint or hyper-parameter choice on private data
    selection_accounted: Fact[bool] | None = None


class Claim(Model):
    """What is claimed. One entry stands for every dataset × ε named in it."""

    id: Slug
    mechanism: Slug
    datasets: tuple[Slug, ...] = Field(min_length=1)
    epsilons: Fact[tuple[Positive, ...]]
    noise_multipliers: Fact[tuple[Positive, ...]] | None = None  # one for each of epsilons, before the mechanism's
    delta: Fact[Annotated[float, Field(gt=0, lt=1)] | DeltaRule] | None = None
    privacy_unit: Fact[Line] | None = None
    unit_is_person: Fact[bool] | None = None
    wording: Line  # "the paper claims", "the released scripts target"


    @model_validator(mode="after")
    def _noise_fits(self) -> Claim:
        noise = self.noise_multipliers.value if self.noise_multipliers is not None else None
        if noise is not None and len(noise) != len(self.epsilons.value or ()):
            raise ValueError("noise_multipliers: expected one for each of epsilons; add or remove some")
        return self


class Evaluation(Model):
    """How utility was measured, as far as it bears on the claim."""

    id: Slug
    metric: Line
    comparable: Fact[bool] | None = None
    why: Line | None = None


class ReportedResult(Model):
    """A figure the paper reports."""

    what: Line
    value: Line
    where: Line
    known: Known


class Correction(Model):
    date: Line
    what: Line


class Waiver(Model):
    """A check whose findings the card's authors accept for a time. It is shown; it hides nothing."""

    check: Slug
    reason: Line
    author: Line
    expires: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]  # the last day it holds


class PaperCard(Model):
    """What a paper and its released code say, each fact with its source."""

    version: Literal[1]
    id: Slug
    title: Line
    citation: Line
    arxiv: Line | None = None
    about: Text
    caveat: Text  # e.g. released code may differ from the code that ran
    sources: tuple[Source, ...] = Field(min_length=1)
    dataset: tuple[DatasetUse, ...] = ()
    corpus: tuple[CorpusUse, ...] = ()
    mechanism: tuple[Mechanism, ...] = ()
    claim: tuple[Claim, ...] = ()
    evaluation: tuple[Evaluation, ...] = ()
    observation: tuple[Observation, ...] = ()
    reported: tuple[ReportedResult, ...] = ()
    not_in_sources: tuple[Line, ...] = ()
    response: Text | None = None
    corrections: tuple[Correction, ...] = ()
    waiver: tuple[Waiver, ...] = ()

    @model_validator(mode="after")
    def _names_resolve(self) -> PaperCard:
        datasets = {d.name for d in self.dataset}
        mechanisms = {m.id for m in self.mechanism}
        cure = "correct the name or add it"
        wrong = [
            f"claim {claim.id!r}: no [[{table}]] has {key} {name!r}; {cure}"
            for claim in self.claim
            for table, key, names, known in (
                ("mechanism", "id", (claim.mechanism,), mechanisms),
                ("dataset", "name", claim.datasets, datasets),
            )
            for name in names
            if name not in known
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self


class Manifest(Model):
    """What a dataset or corpus is, where it comes from and who is in it."""

    version: Literal[1]
    id: Slug
    name: Line
    kind: Literal["private", "pretraining", "public"]
    source: Line
    revision: Line | None = None
    licence: Line | None = None
    how_to_get: Line
    obtainable: bool
    sha256: dict[str, Sha256] = Field(default_factory=dict)  # file name -> digest
    text_column: Line | None = None
    unit_column: Line | None = None
    unit_note: Line  # who the unit column names, or why there is none
    label_column: Line | None = None
    columns: dict[str, Literal["text", "integer", "number", "boolean", "other"]] = Field(default_factory=dict)
    splits: dict[str, int] = Field(default_factory=dict)  # published records per split
    records: int | None = None
    persons: int | None = None
    facts: tuple[Fact[Line], ...] = ()  # further published counts, each with its source


# ---------------------------------------------------------------- what a training run leaves


class PrivateAccess(Model):
    """One access to private data besides the noisy updates: validation, checkpoint choice, label counts, logs."""

    what: Line
    covered: bool  # part of the priced event, or kept from everything that is released and from every decision
    why: Line | None = None  # what covers it, or what it would take


class BatchSizes(Model):
    """Sizes of logical batches, summed up: single ones would tell whose coins fell how."""

    batches: int = Field(ge=0)
    records: int = Field(ge=0)  # all of them together
    smallest: int = Field(ge=0)
    largest: int = Field(ge=0)
    empty: int = Field(ge=0)


class LedgerEntry(Model):
    """One line of a run's ledger: numbered, and chained to the line before it by that line's digest.

    A digest is the SHA-256 of an object's JSON: keys sorted, no spaces, non-ASCII escaped.
    """

    number: int = Field(ge=0)
    previous: Sha256  # digest of the entry before; of `declared` in the first
    kind: Literal["steps", "access", "resume"]
    steps: int = Field(default=0, ge=0)  # noisy updates since the entry before (kind steps)
    batches: BatchSizes | None = None  # of those steps
    access: PrivateAccess | None = None
    discarded_steps: int | None = Field(default=None, ge=0)  # begun after the checkpoint that a resume went back to


class PricedEvent(Model):
    """A dp_accounting.DpEvent as the accountant was given it."""

    kind: Literal["self-composed", "poisson-sampled", "gaussian", "mixture-of-gaussians"]
    count: int | None = Field(default=None, ge=0)  # self-composed
    sampling_probability: float | None = Field(default=None, gt=0, le=1)  # poisson-sampled
    noise_multiplier: float | None = Field(default=None, ge=0)  # gaussian; of a mixture its standard deviation
    sensitivities: tuple[float, ...] | None = None  # mixture-of-gaussians
    probabilities: tuple[float, ...] | None = None
    event: PricedEvent | None = None  # what is composed or sampled


class LedgerDeclaration(Model):
    """What was fixed before the first step."""

    recipe: Slug
    variant: Line
    scale: Line | None = None
    dataset: Line | None = None
    switches: dict[str, str] = Field(default_factory=dict)  # choices of the recipe that bear on the guarantee
    records: int = Field(ge=1)
    fingerprint: Sha256  # of the training records, with a key that is not in the ledger; no text
    privacy_unit: Line
    group_size: int = Field(ge=1)  # most records of one unit
    neighboring_relation: NeighboringRelation
    sampler: Sampler
    sampling_probability: float | None = Field(default=None, gt=0, le=1)
    expected_batch_size: float = Field(gt=0)
    clip_norm: float | None = Field(default=None, gt=0)  # None: not clipped
    noise_multiplier: float = Field(ge=0)
    steps_accounted: int = Field(ge=0)
    target_epsilon: Epsilon | None = None
    delta: float | None = Field(default=None, gt=0, lt=1)
    priced: PricedEvent | None = None  # None: nothing was accounted for
    calibrated: dict[str, Epsilon] = Field(default_factory=dict)  # accountant -> ε of the priced event
    randomness: Literal["os-entropy", "fixed-seed"]
    versions: dict[str, str]


class LedgerTotals(Model):
    """What the entries add up to, and what the run cost."""

    steps_run: int = Field(ge=0)
    batches: BatchSizes
    accesses: int = Field(ge=0)
    accesses_not_covered: int = Field(ge=0)
    resumes: int = Field(ge=0)
    discarded_steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0)


class Ledger(Model):
    """What a training run says it did, as the auditor prices it: a statement of its authors, not a proof."""

    version: Literal[1]
    declared: LedgerDeclaration
    entries: tuple[LedgerEntry, ...]
    totals: LedgerTotals
    head: Sha256  # digest of the last entry; of `declared` where there is none


# ---------------------------------------------------------------- what checks answer


class Evidence(Model):
    source: Line  # "card", "data", "accounting", "code", "probe", "paper"
    where: Line  # table, section, file:line at a commit, formula
    what: Text


class Finding(Model):
    """Something that follows for a claim, resting on evidence that a stranger can check."""

    severity: Severity
    basis: Basis
    summary: Text
    evidence: tuple[Evidence, ...] = Field(min_length=1)
    remedy: Text
    claims: tuple[str, ...] = ()  # ids of the claims it bears on; empty: all

    @computed_field  # type: ignore[prop-decorator]
    @property
    def confidence(self) -> Confidence:
        return CONFIDENCE[self.basis]

    @model_validator(mode="before")
    @classmethod
    def _drop_derived(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if k != "confidence"} if isinstance(data, dict) else data


class Skip(Model):
    """Why a check cannot judge, and what would let it."""

    reason: Text
    needs: Text
    claims: tuple[str, ...] = ()


class Outcome(Model):
    """What one check answered. The status is derived, never set."""

    check: Slug
    question: Line
    findings: tuple[Finding, ...] = ()
    skips: tuple[Skip, ...] = ()
    error: Line | None = None  # exception type and module:line, never its message
    waiver: Waiver | None = None  # that holds for its findings

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> Status:
        if self.error:
            return Status.FAILED
        if self.findings:
            return Status.FOUND
        return Status.SKIPPED if self.skips else Status.CLEAN

    @model_validator(mode="before")
    @classmethod
    def _drop_derived(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if k != "status"} if isinstance(data, dict) else data


# ---------------------------------------------------------------- what probes measure


class ProbeStatus(StrEnum):
    HOLDS = "holds"  # nothing against it was found
    VIOLATED = "violated"
    NOT_JUDGED = "not-judged"
    FAILED = "failed"  # the probe itself broke


class ProbeAnswer(Model):
    """What one probe measured on a training step. Nothing found is no proof: a probe tries some neighbours."""

    probe: Slug
    question: Line
    status: ProbeStatus
    severity: Severity | None = None  # of a violation
    statistic: Line  # what `value` is
    value: Epsilon | None = None
    bound: float | None = None
    figures: dict[str, Epsilon] = Field(default_factory=dict)  # further measures, by what they are
    trials: int = Field(ge=0)
    confidence: Line  # how sure a violation is, and what would have been found
    summary: Text
    witness: Line | None = None  # what to do again to see it


class ProbedStep(Model):
    """A training step and what the probes measured on it."""

    step: Line  # module:factory
    mechanism: Slug | None = None  # of the card
    variant: Line | None = None  # "as-published", "corrected"
    seed: int  # public: everything a probe draws follows from it
    answers: tuple[ProbeAnswer, ...] = ()
    error: Line | None = None  # why the step could not be probed at all


# ---------------------------------------------------------------- what a search of a corpus found


class Proportion(Model):
    """`count` of `of`, with the exact binomial interval (Clopper and Pearson 1934) at 95 % confidence."""

    count: int = Field(ge=0)
    of: int = Field(ge=0)
    lower: float = Field(ge=0, le=1)
    upper: float = Field(ge=0, le=1)


class MatchedAt(Model):
    """Private records whose best match has at least a score, and the people who hold one, if people are known."""

    score: float = Field(gt=0, le=1)
    records: Proportion
    long_records: int = Field(ge=0)
    people: Proportion | None = None


class MatchKind(Model):
    """Matched records of one kind: a whole text of the corpus; whole inside a longer text; in part or edited."""

    kind: Literal["exact", "contained", "in-part"]
    records: int = Field(ge=0)
    long_records: int = Field(ge=0)


class MinHashFigure(Model):
    """What MinHash over whole texts would say of the matched records, by its best estimate for each."""

    permutations: int
    bands: int
    rows_per_band: int
    median: float | None  # estimated Jaccard similarity; None where nothing matched
    at_half: int = Field(ge=0)  # records with an estimate of 0.5 or more
    at_four_fifths: int = Field(ge=0)


class PlantedKind(Model):
    """How many of the plants of one kind of copy were found."""

    kind: Line
    found: Proportion


class PlantedRecall(Model):
    """How many private records were found again, planted into pages of the corpus that hold none of them."""

    seed: int
    pages: int = Field(ge=1)
    shortest: int  # words; shorter records were not planted
    kinds: tuple[PlantedKind, ...] = Field(min_length=1)


class CorpusOverlap(Model):
    """What the search of one corpus for the records of one private dataset found. No text, no id.

    A score is the largest share of a record's words that stands in order in one place of the corpus, verified.
    """

    private: Slug
    corpus: Slug
    shingle: Line
    shingle_size: int
    normalisation: Line
    threshold: float  # least score of a match
    private_records: int = Field(ge=0)
    without_words: int = Field(ge=0)  # they match nothing
    long_words: int  # a record of at least as many words is long; a match of a shorter one can be a common phrase
    long_records: int = Field(ge=0)
    corpus_texts: int = Field(ge=0)
    pairs: int = Field(ge=0)  # verified pairs of a private text and a text of the corpus, equal private texts once
    at_least: tuple[MatchedAt, ...] = Field(min_length=1)  # by score, ascending, from `threshold` on
    histogram: dict[int, int]  # best score in percent, rounded down to a multiple of 5 -> matched records
    kinds: tuple[MatchKind, ...]
    minhash: MinHashFigure
    recall: PlantedRecall | None = None  # None: no record or no page fit for planting


# ---------------------------------------------------------------- the ladder


class Attack(Model):
    """The most that any attack on membership can do at this rung: upper bounds."""

    advantage: float = Field(ge=0, le=1)  # true-positive rate less false-positive rate
    tpr_at_fpr: dict[str, float]  # false-positive rate -> true-positive rate
    source: Line  # the whole curve δ(ε), or the point (ε, δ) alone


class Comparison(Model):
    """A figure shown beside a rung, and what it is worth there."""

    label: Line
    epsilon: Epsilon
    standing: Literal["no bound", "looser bound", "price of mending"]


class Rung(Model):
    """One step of the ladder: an ε bracket with everything it means, or why there is none."""

    id: Slug
    label: Line
    epsilon_lower: Epsilon | None = None
    epsilon_upper: Epsilon | None = None
    delta: Delta | None = None
    privacy_unit: Line
    neighboring_relation: NeighboringRelation
    method: Line
    assumption: Text
    group_size: int | None = None
    unavailable: Line | None = None  # why it could not be computed
    attack: Attack | None = None
    beside: tuple[Comparison, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Rung:
        if self.unavailable is not None:
            if self.epsilon_lower is not None or self.epsilon_upper is not None:
                raise ValueError("an unavailable rung carries no epsilon")
            return self
        if self.epsilon_lower is None or self.epsilon_upper is None:
            raise ValueError("a rung needs both ends of its bracket, or says why it is unavailable")
        if self.epsilon_lower > self.epsilon_upper:
            raise ValueError("epsilon_lower exceeds epsilon_upper")
        if self.delta is None:
            raise ValueError("no epsilon without its delta")
        return self


class CurvePoint(Model):
    """ε for a person who holds `group_size` records."""

    group_size: int = Field(ge=1)
    epsilon_lower: Epsilon
    epsilon_upper: Epsilon


class CapResult(Model):
    """What keeping at most `max_records` records of each person would do: ε for a person at the same noise, steps and
    sampling probability, and the noise multiplier that would give a person the claimed ε (None: none up to 1e7)."""

    max_records: int = Field(ge=1)
    records_kept: int
    people_affected: int
    epsilon_lower: Epsilon
    epsilon_upper: Epsilon
    noise_multiplier: float | None


class ClaimResult(Model):
    """One claim (mechanism × dataset × ε) with its ladder."""

    id: str
    label: Line
    wording: Line
    mechanism: Slug
    dataset: Slug
    epsilon: Epsilon
    delta: Delta | None
    privacy_unit: Line | None
    records: int | None = None
    noise_multiplier: float | None = None
    noise_multiplier_derived: bool = False
    verdict: Text
    verdict_level: Literal["holds", "weaker", "broken", "unknown"]
    waived: tuple[Slug, ...] = ()  # that its verdict leaves out: the check of each waived finding of high severity
    ladder: tuple[Rung, ...]
    curve: tuple[CurvePoint, ...] = ()
    caps: tuple[CapResult, ...] = ()  # where records per person were measured


class Utility(Model):
    """How well synthetic records serve, as the run's own evaluation measured it: mean over seeds."""

    set: Line  # "synthetic", "real", "public-only"
    metric: Line
    mean: float
    spread: float | None = None


class RunResult(Model):
    """A training run, audited by the ledger that it left: a statement of its authors, not a proof."""

    label: Line
    origin: Literal["given", "reimplementation"] = "given"
    recipe: Slug
    mechanism: Slug | None = None  # of the card, where the recipe is one that it names
    variant: Line
    scale: Line | None
    dataset: Line | None
    ledger_sha256: Sha256
    records: int
    privacy_unit: Line
    group_size: int
    sampler: Sampler
    expected_batch_size: float
    clip_norm: float | None
    noise_multiplier: float
    steps_accounted: int
    steps_run: int
    randomness: Line
    switches: dict[str, str]
    accesses: tuple[PrivateAccess, ...]
    faults: tuple[Line, ...]  # what does not hang together in the ledger
    departures: tuple[Line, ...]  # where the run is not what was priced
    verdict: Text
    verdict_level: Literal["holds", "weaker", "broken", "unknown"]
    ladder: tuple[Rung, ...]
    utility: tuple[Utility, ...] = ()


class UnitCounts(Model):
    """Records per privacy unit, measured in a file. Percentiles are linear over units, unrounded."""

    records: int
    units: int
    max: int
    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    share_single: float
    share_top1: float
    missing: int  # records without an id, in none of the figures above
    histogram: dict[int, int]  # records per unit -> units


class DataIdentity(Model):
    """Is the file the named dataset?"""

    verdict: Literal["named dataset", "sample", "unknown"]
    why: Line
    sha256: str
    records: int
    published_records: int | None


class DataResult(Model):
    """What was measured in one `--data` or `--corpus` file. No text, no id."""

    name: Slug
    role: Literal["private", "corpus"]
    format: Line
    identity: DataIdentity
    text_column: Line | None
    unit_column: Line | None
    counts: UnitCounts | None = None
    splits: dict[str, UnitCounts] = Field(default_factory=dict)  # by split, where every file is named for one


class PaperInfo(Model):
    """The part of the card that the report shows."""

    id: Slug
    title: Line
    citation: Line
    arxiv: Line | None
    about: Text
    caveat: Text
    sources: tuple[Source, ...]
    observations: tuple[Observation, ...]
    reported: tuple[ReportedResult, ...]
    not_in_sources: tuple[Line, ...]
    response: Text | None
    corrections: tuple[Correction, ...]


class WaiverUse(Model):
    """A waiver of the card and what became of it on the day of the audit."""

    waiver: Waiver
    state: Literal["holds", "expired", "unused"]


class Provenance(Model):
    """Everything that may differ between two runs on the same input."""

    command: Line
    versions: dict[str, str]
    commit: Line | None
    started: Line
    seconds: float
    inputs: dict[str, str]  # name -> sha256


class AuditResult(Model):
    """The record of one audit; reports read its JSON and nothing else."""

    version: Literal[1] = 1
    paper: PaperInfo
    claims: tuple[ClaimResult, ...]
    data: tuple[DataResult, ...]
    runs: tuple[RunResult, ...] = ()
    outcomes: tuple[Outcome, ...]
    probes: tuple[ProbedStep, ...] = ()
    overlaps: tuple[CorpusOverlap, ...] = ()
    waivers: tuple[WaiverUse, ...] = ()
    provenance: Provenance
