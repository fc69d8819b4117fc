"""`audit probe` and the helper for test suites: what they say, what they exit with, what they never do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from audit.probes.answers import failed
from audit.probes.command import exit_code, probed
from audit.probes.load import ProbeError, checked, load
from audit.probes.plan import Plan
from audit.probes.step import Loop
from audit.probes.suite import PROBES, probe
from audit.probes.testing import assert_private_step
from audit.types import Severity

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OPACUS, PLAIN = (code for code in CODE if "def factory" in code)
(TRAINING,) = (code for code in CODE if "def private" in code)
LOOP = """
import torch
from torch import nn
from audit.probes.step import Loop, Run
TEXTS = [torch.ones(3) * (1 + i) for i in range(16)]
def start(records, seed, entropy):
    model, noise = nn.Linear(3, 1, bias=False), torch.Generator().manual_seed(entropy)
    def step(batch, tap):
        {body}
        total = {{"weight": sum([e.record / e.record.norm() * {norm} for e in batch], torch.zeros(3))[None]}}
        shown = tap(total, {{n: t + torch.randn(t.shape, generator=noise) for n, t in total.items()}})
        with torch.no_grad():
            model.weight += 0.01 * shown["weight"]
    return Run(model, step)
def factory():
    return Loop(start, TEXTS, clip_norm=1.0, noise_multiplier=1.0, batch_size=4, records_checked=True)
"""


def loop_file(folder: Path, norm: float | str = 1.0, body: str = "pass") -> None:
    (folder / "my_loop.py").write_text(LOOP.format(norm=norm, body=body), encoding="utf-8")


def cli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-W", "ignore", "-m", "audit.cli", "probe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)


def test_a_sound_step_exits_0_and_an_unsound_one_1(tmp_path: Path) -> None:
    loop_file(tmp_path)
    sound = cli(tmp_path, "my_loop:factory", "--probe", "steps", "--brief")
    assert (sound.returncode, sound.stderr) == (0, "")
    assert "steps        holds" in sound.stdout
    loop_file(tmp_path, norm=1.5)
    unsound = cli(tmp_path, "my_loop:factory", "--probe", "sensitivity", "--brief")
    assert unsound.returncode == 1
    assert "VIOLATED (high): One record moves the clipped sum by 1.5 C" in unsound.stdout
    assert "witness: batch of" in unsound.stdout


def test_a_record_replaced_is_told_beside_the_bound_of_a_replacement(tmp_path: Path) -> None:
    """Unit gradients that point in two opposite directions: one removed moves their sum by 1, one replaced by 2."""
    loop_file(tmp_path, norm="(-1) ** int(e.record[0])")
    told = cli(tmp_path, "my_loop:factory", "--probe", "sensitivity").stdout
    assert "one record removed moved it by up to 1 C, where C is allowed" in told
    assert "one record replaced moved it by up to 2 C, where 2 C is allowed" in told
    assert "ordinary record removed 1 (bound 1)" in told
    assert "ordinary record replaced 2 (bound 2)" in told


def test_exit_codes_are_those_of_an_audit(tiny: ModuleType) -> None:
    unsound, unjudged = tiny.loop(steps=3), tiny.loop(tiny.Parts(batches=None))
    plan = Plan(noise_steps=2)
    found = probe(unsound, plan, ["steps"]) + probe(unjudged, plan, ["sampling"])
    high, every = [Severity.HIGH], list(Severity)
    assert exit_code(found, high, inconclusive=False) == 1
    assert exit_code(found, [], inconclusive=False) == 0
    assert exit_code(found, [], inconclusive=True) == 3
    assert exit_code([*found, failed("noise", "KeyError at noise:1")], [], inconclusive=False) == 3
    assert exit_code(probe(tiny.loop(steps=99), plan, ["steps"]), high, inconclusive=True) == 0
    assert exit_code(probe(tiny.loop(steps=99), plan, ["steps"]), every, inconclusive=True) == 1


def test_json_is_a_list_of_steps_and_what_the_loop_prints_is_no_part_of_it(tmp_path: Path) -> None:
    loop_file(tmp_path, body='print("noise in the output")')
    answer = cli(tmp_path, "my_loop:factory", "my_loop:factory", "--probe", "steps", "--json", "--seed", "3")
    found = json.loads(answer.stdout)
    assert [step["step"] for step in found] == ["my_loop:factory"] * 2
    assert {step["seed"] for step in found} == {3}
    assert [a["probe"] for a in found[0]["answers"]] == ["steps"]


def test_a_step_that_raises_is_not_judged_and_its_message_is_not_shown(tmp_path: Path) -> None:
    loop_file(tmp_path, body='raise ValueError("private text")')
    answer = cli(tmp_path, "my_loop:factory", "--probe", "sensitivity", "--fail-on-inconclusive")
    assert answer.returncode == 3
    assert "not judged" in answer.stdout
    assert "private text" not in answer.stdout + answer.stderr
    shown = cli(tmp_path, "my_loop:factory", "--probe", "sensitivity", "--debug")
    assert shown.returncode == 3  # nothing was judged: a loop that never ran is not green
    assert "private text" in shown.stderr


def test_what_cannot_be_probed_is_one_line_and_exit_2(tmp_path: Path) -> None:
    answer = cli(tmp_path, "my_loop:factory")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("audit: my_loop:factory: cannot be imported")
    assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "only", "told"),
    [
        ("my_loop", None, "expected module:factory"),
        ("my_loop:factory; rm", None, "expected module:factory"),
        ("refused_loop.py:factory", None, r"got a file; run `audit probe refused_loop:factory`$"),
        ("at/home/my_loop.py:made", None, r"run `audit probe my_loop:made` in the folder at/home$"),
        ("my_loop.py", None, r"run `audit probe my_loop:factory`$"),
        ("refused_loop:nothing", None, "cannot be imported"),
        ("nowhere_to_be_found:factory", None, "cannot be imported: there is no module nowhere_to_be_found in "),
        ("refused_loop:start", None, "raised TypeError"),
        ("refused_loop:factory", ["sensitivty"], "did you mean sensitivity"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_was_expected(
    tmp_path: Path, name: str, only: list[str] | None, told: str
) -> None:
    loop_file(tmp_path)
    (tmp_path / "my_loop.py").rename(tmp_path / "refused_loop.py")
    with pytest.raises(ProbeError, match=told):
        probed(name, only, folder=tmp_path)


def test_installed_steps_only_are_not_looked_for_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "my_loop.py").write_text('open("was_run", "w")\n', encoding="utf-8")
    assert cli(tmp_path, "my_loop:factory", "--installed").returncode == 2
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"records": [1] * 15}, "at least 16"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"noise_multiplier": -1.0}, "noise_multiplier"),
        ({"sampler": "Poisson"}, "poisson"),
        ({"neighboring_relation": "add"}, "add-or-remove-one"),
    ],
)
def test_a_loop_that_is_not_whole_is_refused_by_field(
    tiny: ModuleType, change: dict[str, object], told: str
) -> None:
    with pytest.raises(ProbeError, match=told):
        checked(replace(tiny.loop(), **change))


def test_any_class_with_the_fields_of_a_loop_will_do(tiny: ModuleType) -> None:
    class Theirs:
        def __init__(self, loop: Loop) -> None:
            self.__dict__.update(loop.__dict__)

    loop = tiny.loop()
    assert checked(Theirs(loop)) == loop
    with pytest.raises(ProbeError, match="without start"):
        checked(object())


def test_the_assertion_passes_a_sound_step_and_names_what_is_wrong_with_another(tiny: ModuleType) -> None:
    plan = Plan(noise_steps=2)
    assert_private_step(tiny.loop(), probes=["noise", "steps"], plan=plan)
    with pytest.raises(AssertionError, match="steps run, 3 accounted"):
        assert_private_step(tiny.loop(steps=3), probes=["noise", "steps"], plan=plan)
    with pytest.raises(AssertionError, match="sampling: The run offers no `batches`"):
        assert_private_step(tiny.loop(tiny.Parts(batches=None)), probes=["sampling"], plan=plan)
    with pytest.raises(ValueError, match="nois"):
        assert_private_step(tiny.loop(), probes=["nois"])


@pytest.mark.parametrize(("name", "code"), [("plain", PLAIN), ("opacus", OPACUS)])
def test_the_loops_of_the_page_are_sound(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / f"page_{name}.py").write_text(code, encoding="utf-8")
    (tmp_path / "my_training.py").write_text(TRAINING, encoding="utf-8")
    loop = load(f"page_{name}:factory", folder=tmp_path)
    plan = Plan(sizes=(8,), places=1, factors=(), noiseless_steps=0, hard_sizes=(8,), run_steps=6, noise_steps=5)
    assert_private_step(loop, plan=replace(plan, coordinates=1, hard_changes=1))


def test_the_loop_in_15_lines_has_15_lines() -> None:
    assert len([line for line in OPACUS.splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("factory", ["hooks", "ghost"])
def test_a_loop_of_opacus_alone_is_sound_with_hooks_and_with_ghost_clipping(factory: str) -> None:
    loop = load(f"opacus_probe:{factory}", folder=ROOT / "examples")
    plan = Plan(sizes=(8, 32), places=1, factors=(), noiseless_steps=0, run_steps=6, noise_steps=5)
    wanted = [name for name in PROBES if name not in ("sampling", "steps")]  # ghost clipping takes no empty batch
    assert_private_step(loop, probes=wanted, plan=plan)
