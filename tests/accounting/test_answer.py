"""The answer as data, refusals, extremes, and the cache."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.accounting import mechanisms as m
from audit.accounting.accountants import combine, epsilon
from audit.accounting.answer import answer
from audit.accounting.bracket import Bracket, Route
from audit.accounting.cache import cached, cached_bracket
from audit.accounting.inputs import AccountingInputError
from audit.accounting.sampling import Schedule

KEYS = (
    "epsilon_lower epsilon_upper delta group_size neighboring_relation sampler method assumptions routes advantage "
    "tpr_at_fpr"
)
POISSON = Schedule("poisson", sampling_probability=0.01, steps=300)


def test_an_answer_has_exactly_the_promised_keys() -> None:
    found = answer(POISSON, 1.0, 1e-5, group_size=2)
    assert list(found) == KEYS.split()
    assert {tuple(route) for route in found["routes"]} == {("method", "lower", "upper")}
    assert set(found["tpr_at_fpr"]) == {"0.001", "0.01"}
    assert found["epsilon_lower"] <= found["epsilon_upper"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_infinity_is_a_word() -> None:
    found = answer(Schedule("shuffle-once", batch_size=10, records=100, epochs=2), 1.0, 1e-5)
    assert "inf" in [route["upper"] for route in found["routes"]]
    assert json.dumps(found, allow_nan=False)


def test_the_same_question_gets_the_same_bytes() -> None:
    once, again = (json.dumps(answer(POISSON, 1.0, 1e-5)) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("relation", ["add-or-remove-one", "replace-one", "replace-special"])
def test_every_relation_is_answered(relation: str) -> None:
    assert answer(POISSON, 1.0, 1e-5, neighboring_relation=relation)["neighboring_relation"] == relation


@pytest.mark.parametrize(
    ("schedule", "arguments", "complaint"),
    [
        (POISSON, {"noise_multiplier": 0.0}, "noise_multiplier = 0.0"),
        (POISSON, {"noise_multiplier": -1.0}, "noise_multiplier"),
        (POISSON, {"noise_multiplier": math.nan}, "noise_multiplier"),
        (POISSON, {"noise_multiplier": math.inf}, "noise_multiplier"),
        (POISSON, {"delta": 0.0}, "delta"),
        (POISSON, {"delta": 1.0}, "delta"),
        (POISSON, {"delta": math.nan}, "delta"),
        (POISSON, {"group_size": 0}, "group_size"),
        (POISSON, {"group_size": math.nan}, "group_size"),
        (POISSON, {"neighboring_relation": "twins"}, "neighboring_relation"),
        (POISSON, {"accountant": "gdp"}, "accountant"),
        (Schedule("poisson", sampling_probability=1.5, steps=3), {}, "sampling_probability"),
        (Schedule("poisson", sampling_probability=math.nan, steps=3), {}, "sampling_probability"),
        (Schedule("poisson", sampling_probability=-0.1, steps=3), {}, "sampling_probability"),
        (Schedule("poisson", batch_size=5, records=50, steps=3), {"group_size": 51}, "group_size = 51"),
    ],
)
def test_nonsense_is_refused_in_one_line(schedule: Schedule, arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(AccountingInputError) as caught:
        answer(schedule, **{"noise_multiplier": 1.0, "delta": 1e-5, **arguments})  # type: ignore[arg-type]
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


EXTREMES = [
    (0.3, 1e-6, 10**6, 10**4, 1e-30),
    (0.3, 1e-6, 10**6, 1, 1e-30),
    (0.3, 0.5, 10**6, 10**4, 1e-30),
    (0.01, 0.01, 10**6, 1, 1e-5),
    (1e6, 0.01, 100, 1, 1e-5),
    (1.0, 0.01, 1000, 1, 1e-300),
    (1.0, 1e-6, 10, 1, 1e-9),
    (1.0, 0.01, 1000, 1, 0.999),
    (1.0, 1.0, 10**6, 1, 1e-30),
]


@pytest.mark.parametrize(("noise", "q", "steps", "k", "delta"), EXTREMES)
def test_extremes_are_answered_without_warnings(noise: float, q: float, steps: int, k: int, delta: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = epsilon(m.dp_sgd(noise, q, steps), delta, group_size=k)
    assert found.agree
    assert 0 <= found.lower <= found.upper < math.inf


def test_an_infinite_bound_says_what_failed() -> None:
    found = combine([Route("contour", 3.0, 3.0), Route("pld", 0.0, math.inf)])
    assert found.upper == math.inf
    assert "no finite upper bound was found by contour, pld" in found.assumptions


def test_routes_that_contradict_each_other_are_both_kept() -> None:
    found = combine([Route("contour", 3.0, 3.0), Route("pld", 0.0, 2.9)])
    assert not found.agree
    assert (found.lower, found.upper) == (2.9, 3.0)
    assert "disagree" in found.method
    wide = combine([Route("contour", 3.0, 3.0), Route("pld", 0.0, 3.2)])
    assert not wide.agree


def test_a_proven_lower_bound_goes_before_the_quadrature() -> None:
    exact = Route("gaussian (closed form)", 3.0, 3.0)
    for value in (2.9999999, 3.0000001):
        found = combine([exact, Route("contour", value, value)])
        assert (found.lower, found.upper, found.method) == (3.0, 3.0, exact.method)


def test_a_mixture_of_thousands_of_shifts_is_bounded_without_sampling() -> None:
    found = epsilon(m.dp_sgd(50.0, 0.9, 3), 1e-6, group_size=2000)
    assert found.upper <= epsilon(m.gaussian(50.0, 3), 1e-6, group_size=2000).upper * (1 + 1e-6)
    assert found.upper > epsilon(m.gaussian(50.0, 3), 1e-6, group_size=1800).upper
    assert found.routes[0].method == "every record in every step"


def test_noise_in_the_last_digit_is_no_contradiction() -> None:
    found = combine([Route("contour", 3.0000001, 3.0000001), Route("pld", 0.0, 3.0)])
    assert found.agree
    assert (found.lower, found.upper) == (3.0, 3.0)


@given(lower=st.floats(allow_nan=True), upper=st.floats(allow_nan=True))
def test_a_bracket_out_of_order_cannot_be_built(lower: float, upper: float) -> None:
    if 0 <= lower <= upper:
        assert Bracket(lower, upper, "m").lower == lower
    else:
        with pytest.raises(ValueError, match="expected 0 <= lower <= upper"):
            Bracket(lower, upper, "m")


def test_a_bracket_without_a_method_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="method"):
        Bracket(0.0, 1.0, "")


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Bracket:
        self.calls += 1
        return Bracket(1.0, math.inf, "m", ("why",), (Route("pld", 0.0, math.inf),), agree=False)


def test_a_cached_bracket_comes_back_whole(tmp_path: Path) -> None:
    compute = Counter()
    first, second = (cached_bracket(tmp_path, "f", {"q": 0.1}, compute) for _ in range(2))
    assert first == second == Counter()()
    assert compute.calls == 1


def test_other_inputs_functions_or_no_folder_are_computed_anew(tmp_path: Path) -> None:
    compute = Counter()
    cached_bracket(tmp_path, "f", {"q": 0.1}, compute)
    cached_bracket(tmp_path, "f", {"q": 0.1000000001}, compute)
    cached_bracket(tmp_path, "g", {"q": 0.1}, compute)
    cached_bracket(None, "f", {"q": 0.1}, compute)
    assert compute.calls == 4


@pytest.mark.parametrize("rubbish", ["", "{", "[]", '{"value": {"lower": 3}}', '{"other": 1}', "\x00\xff"])
def test_a_corrupt_entry_is_computed_anew(tmp_path: Path, rubbish: str) -> None:
    compute = Counter()
    cached_bracket(tmp_path, "f", {}, compute)
    (file,) = tmp_path.iterdir()
    file.write_text(rubbish, encoding="utf-8")
    assert cached_bracket(tmp_path, "f", {}, compute) == Counter()()
    assert compute.calls == 2
    assert cached_bracket(tmp_path, "f", {}, compute) == Counter()()
    assert compute.calls == 2


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert cached(blocked / "inside", "f", {}, lambda: 3) == 3


FILL = """
import sys
from pathlib import Path
from audit.accounting.cache import cached
print([cached(Path(sys.argv[1]), "f", {"i": i % 5}, lambda i=i: [i % 5] * 500)[0] for i in range(50)])
"""


def test_processes_may_share_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = [process.communicate(timeout=120)[0] for process in running]
    assert printed == [f"{[i % 5 for i in range(50)]}\n"] * 3
    assert len(list(tmp_path.iterdir())) == 5
    assert not list(tmp_path.glob("*.part"))


def test_the_example_in_the_documentation_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "accounting.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    lower, upper, method = example.split("# ")[1].strip().split(" ", 2)
    exec(compile(example, "docs/accounting.md", "exec"), {})
    printed = capsys.readouterr().out.strip().split(" ", 2)
    assert [f"{float(value):.4f}" for value in printed[:2]] == [lower, upper]
    assert printed[2] == method


def test_pricing_needs_neither_torch_nor_opacus() -> None:
    code = (
        "import sys; from audit.accounting.answer import answer; from audit.accounting.sampling import Schedule; "
        "answer(Schedule('poisson', 0.01, 100), 1.0, 1e-5); "
        "print([name for name in ('torch', 'opacus', 'transformers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert found.stderr == ""
