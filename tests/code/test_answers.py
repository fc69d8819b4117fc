"""What the checks that read code answer: lines with places, sound programs without a finding, and no crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import run_audit
from audit.check import Need, all_checks
from audit.code.checkout import Checkout, read_checkout
from audit.code.files import File
from audit.code.source import QUOTED, source_of
from audit.reading import SHOWN
from audit.result import to_json
from audit.run import put
from audit.subject import Subject
from audit.types import Basis, Finding, PaperCard, Severity, Status

HERE = Path(__file__).parent
CASES = HERE.parent / "cases"
READING = {ident: check for ident, check in all_checks().items() if check.needs == (Need.CODE,)}
CARD = PaperCard.model_validate(
    {
        **dict.fromkeys(("id", "title", "citation", "about", "caveat"), "x"),
        "version": 1,
        "sources": [{"id": "s", "kind": "code", "citation": "x", "read": "x"}],
    }
)
ENGINE = """from opacus import PrivacyEngine
import torch
model, optimizer, loader = PrivacyEngine().make_private(module=m, optimizer=o, data_loader=d)
"""
Write = Callable[..., Subject]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def files(**texts: str) -> Subject:
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Subject(CARD, code=tmp_path)

    return files


def finding(ident: str, subject: Subject) -> Finding:
    (found,) = put(READING[ident], subject, debug=True).findings
    return found


def status(ident: str, subject: Subject) -> Status:
    return put(READING[ident], subject, debug=True).status


# ---------------------------------------------------------------- sound programs


@pytest.mark.parametrize("folder", sorted(HERE.glob("clean/*")), ids=lambda path: path.name)
def test_a_sound_program_has_no_finding(folder: Path) -> None:
    subject = Subject(CARD, code=folder)
    outcomes = {ident: put(check, subject, debug=True) for ident, check in READING.items()}
    assert {ident: o.findings for ident, o in outcomes.items() if o.findings or o.error} == {}
    assert len(subject.checkout.engines) == 1
    assert not subject.checkout.notes


@pytest.mark.parametrize("case", sorted(CASES.glob("*/good/*/code")), ids=lambda path: path.parts[-4])
def test_the_sound_twin_of_one_flaw_shows_no_other(case: Path) -> None:
    subject = Subject(CARD, code=case)
    assert [ident for ident, check in READING.items() if put(check, subject).findings] == []


NEAR = {
    "grad-sample-expanded": [
        "norms = p.grad_sample.norm(dim=1).expand(3, -1)",
        "p.grad_sample = clip.view(-1, 1).expand_as(p.grad_sample) * 2",
        "grad_sample = activations.expand(3, 4)",
        "rows = torch.tile(mask, p.grad_sample.shape)",
    ],
    "trailing-comma-tuple": ["a = (None,)", "a = b,", "a, = True,", "a = 'x',", "f(False,)", "a: bool | tuple = False"],
    "boolean-flag-always-true": ["parser.add_argument('--x', type=boolean)", "option('--x', type=bool)"],
    "learning-rate-step-constant": [
        "def set_lr(o, step):\n  o['lr'] = step\nset_lr(o, 0)\nfor x in l:\n  x.backward()",
        "def set_lr(o, step):\n  o['lr'] = step\nfor x in l:\n  set_lr(o, step)\n  x.backward()",
        "def set_lr(o, step):\n  o['lr'] = step\nfor x in l:\n  set_lr(o, 0)",
        "def rate(step):\n  return 0.1\nfor x in l:\n  rate(0)\n  x.backward()",
    ],
    "empty-batch-continued": [
        "for b in loader:\n  if b.step == 0:\n    continue\n  b.backward()",
        "for b in loader:\n  if len(b) == 3:\n    continue\n  b.backward()",
        "for b in loader:\n  if len(other) == 0:\n    continue\n  b.backward()",
        "for b in loader:\n  if len(b) == 0:\n    b = noise\n  b.backward()",
        "for b in loader:\n  if len(b) == 0:\n    continue\n  score(b)",
        "for b in loader:\n  x = queue\n  if len(x) == 0:\n    continue\n  b.backward()",
        "for b in loader:\n  if kind(b) == list:\n    continue\n  b.backward()",
        "for b in loader:\n  if type(b) == dict:\n    continue\n  b.backward()",
        "for b in loader:\n  if len(b) > 0:\n    continue\n  b.backward()",
    ],
    "seed-without-secure-mode": [
        "numpy.random.seed(3)",
        "torch.Generator().manual_seed(3)",
        "S = 3\nS = None\ntorch.manual_seed(S)",
        "torch.manual_seed(args.seed)\nS = 3\nother(seed=3)",
        "parser.add_argument('--seed')\nparser.add_argument('--epochs', default=3)\nset_seed(args.seed)",
        "generator.manual_seed(3)",
        "torch.manual_seed(3)\ntorch.seed()",
        "def set_seed(n):\n  random.seed(n)\nset_seed(3)",
        "train_test_split(x, seed=3)",
    ],
    "raw-losses-written": [
        "torch.save(model, 'm.pt')\nprint(loss)",
        "torch.save({'best_val_loss': best_val_loss}, 'x')",
        "torch.save(loss_fn.state_dict(), 'x')",
        "def evaluate():\n  json.dump(losses, f)",
        "sys.stdout.write(f'{loss}')",
        "json.dumps(losses)",
    ],
    "best-checkpoint-loaded": [
        "TrainingArguments('out', load_best_model_at_end=False)",
        "if loss < best_loss:\n  best_loss = loss",
        "if best:\n  model.save('x')",
    ],
    "loss-aware-sampler": [
        "class S:\n  def update_with_local_losses(self, t, l):\n    self.update_with_all_losses(t, l)",
        "WeightedRandomSampler(class_weights, 10)",
        "lookup.update(losses)",
    ],
    "shuffle-accounted-as-poisson": [
        "train = DataLoader(d, shuffle=True)\ne.get_epsilon(1)",
        "e.make_private(poisson_sampling=True)\ne.get_epsilon(1)",
        "e.make_private(poisson_sampling=args.poisson)\ne.get_epsilon(1)",
        "audio = load(x, sample_rate=16000)\ntrain = RandomSampler(d)",
    ],
    "dependency-edited": [
        "# Modified from opacus/examples/mnist.py",
        "# see site-packages/opacus/privacy_engine.py",
        "# the loop of https://x.org/site-packages/opacus/a.py was edited",
        "opacus = 3",
        "x = opacus.grad_sample",
    ],
    "epochs-from-other-loader": [
        "with BatchMemoryManager(data_loader=d) as p:\n  for b in p:\n    tqdm(total=n * len(p))",
        "with BatchMemoryManager(data_loader=d) as p:\n  for e in range(n // len(d)):\n    pass",
        "for i in range(len(d) // 2):\n  pass",
    ],
    "validation-drawn-from-train": [
        "val = pd.read_csv('val.csv')\nval.sample(9).to_csv('val_small.csv')",
        "t = pd.read_csv('train.csv')\nt.to_csv('val.csv')",
        "t = pd.read_csv('train.csv')\nt.sample(9).to_csv('val.csv')\nopen('train_rest.csv', 'w').write(x)",
        "train, val = train_test_split(rows)",
        "val_rows = train_rows[:9]\ntrain_rows = train_rows[9:]",
        "value = train[:9]",
        "val = train.select(range(9))\nrest = train.filter(keep)",
        "val = train.sample(9)\nrest = train.drop(val.index)",
    ],
    "label-counts-in-generation": [
        "c = Counter(x)\nfor k, n in c.items():\n  generate(k)",
        "c = Counter(x)\nfor k, n in c.items():\n  print(k, n)\nmodel.generate(3)",
        "c = Counter(x)\nfor k in c:\n  generate(k, add_noise(c[k]))",
        "c = Counter(x)\nfor k in g.generate(3):\n  c[k] += 1",
        "c = Counter(x)\nd = {1: 2}\nfor k, n in d.items():\n  generate(k, n)",
        "c = Counter(x)\nfor k in c:\n  for _ in range(9):\n    m.generate(k)",
    ],
}


BATCHES = "for b in loader:\n  {test}\n    continue\n  b.backward()"
SEED = "torch.manual_seed(args.seed)\n"
FORMS = {
    "grad-sample-expanded": [
        "p.grad_sample = p.grad_sample.detach().repeat(3, 1).contiguous()",
        "p.grad_sample = torch.tile(p.grad_sample, (3, 1))",
    ],
    "trailing-comma-tuple": ["x = None,", "self.x = True,", "x: int = 3,", "a = b = False,"],
    "empty-batch-continued": [
        BATCHES.format(test="if not b:"),
        BATCHES.format(test="if not len(b):"),
        BATCHES.format(test="if done or b.numel() < 1:"),
        BATCHES.format(test="if b['x'].size(0) <= 0:"),
        BATCHES.format(test="if isinstance(b, list):"),
        BATCHES.format(test="if type(b) is list:"),
        "for i, (x, y) in enumerate(loader):\n  if len(x) == 0:\n    continue\n  step.backward()",
    ],
    "seed-without-secure-mode": [
        f"{SEED}class A:\n  seed: int = 3",
        f"{SEED}class A:\n  seed: int = field(default=3)",
        f"{SEED}D = {{'other': 4, 'seed': 3}}",
        f"{SEED}args.seed = 3",
        f"{SEED}args = RunConfig(seed=3)",
        f"{SEED}parser.add_argument('-s', '--seed', default=3)",
        "torch.manual_seed(config['seed'])\nconfig = dict(seed=3)",
        "def set_seed(n):\n  torch.manual_seed(n)\nset_seed(3)",
        "pl.seed_everything(seed=3)",
        "S = 4\nS = 3\ntorch.cuda.manual_seed_all(S)",
    ],
    "raw-losses-written": [
        "np.save('x', loss_history)",
        "losses.to_csv('x')",
        "torch.save({'m': m, 'l': train_loss}, 'x')",
        "f.write(f'{loss.item()}')",
        "writer.add_scalar('l', loss, 3)",
    ],
    "best-checkpoint-loaded": [
        "args.load_best_model_at_end = True",
        "if acc >= self.best_acc:\n  if x:\n    model.save_pretrained('x')",
        "Trainer(callbacks=[EarlyStoppingCallback(3)])",
    ],
    "label-counts-in-generation": [
        "labels, counts = np.unique(x, return_counts=True)\nfor l, c in zip(labels, counts):\n  m.generate(l, n=c)",
        "c = Counter(x)\nfor k, n in tqdm(c.most_common()):\n  for _ in range(n):\n    m.generate(k)",
        "c = df['y'].value_counts().to_dict()\nfor k in c:\n  m.generate(k, c[k] * 2)",
    ],
    "validation-drawn-from-train": [
        "t = load('train.json')\nv = random.sample(t, 9)\npd.DataFrame(v).to_json('val.json')",
        "pd.read_csv('a/train.csv')[:9].to_csv('a/dev.csv')",
        "val_set = random.sample(train_set, 9)\nfit(train_set)",
        "valid = train.head(9)",
    ],
    "epochs-from-other-loader": [
        "loader = wrap_data_loader(data_loader=d)\nfor e in range(steps // len(loader)):\n  pass",
    ],
    "dependency-edited": ["# this needs a patched site-packages/opacus/a.py", "# hacked opacus/optimizers/a.py"],
    "loss-aware-sampler": ["s.update_with_local_losses(t, l)", "WeightedRandomSampler(weights=loss, num_samples=3)"],
    "shuffle-accounted-as-poisson": ["e.make_private(poisson_sampling=False)\ne.get_epsilon(1)"],
}


@pytest.mark.parametrize(("ident", "text"), [(ident, text) for ident, texts in FORMS.items() for text in texts])
def test_a_flaw_is_found_in_its_other_forms(ident: str, text: str, write: Write) -> None:
    assert status(ident, write(**{"train.py": f"{ENGINE}{text}\n"})) is Status.FOUND


@pytest.mark.parametrize(
    ("loader", "expected"),
    [
        ("train = DataLoader(d, shuffle=True)", Status.FOUND),
        ("train = DataLoader(d, shuffle=False)", Status.CLEAN),
        ("train = Other(d, shuffle=True)\nDataLoader(train)", Status.CLEAN),
        ("val = DataLoader(d, shuffle=True)", Status.CLEAN),
        ("train = BatchSampler(s, 3, drop_last=False)\nDataLoader(d)", Status.CLEAN),
        ("train = DPDataLoader.from_data_loader(DataLoader(d, shuffle=True))", Status.CLEAN),
        ("def evaluate():\n  return RandomSampler(d)", Status.CLEAN),
    ],
)
def test_a_hand_made_loop_is_judged_by_the_loader_it_trains_on(loader: str, expected: Status, write: Write) -> None:
    text = f"o = DPOptimizer(x)\naccountant.step(sample_rate=q)\n{loader}\n"
    assert status("shuffle-accounted-as-poisson", write(**{"train.py": text})) is expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sudo cp a.py lib/site-packages/opacus/a.py", Status.FOUND),
        ("patch lib/site-packages/opacus/a.py < a.diff", Status.FOUND),
        ("sed -i s/a/b/ lib/dist-packages/opacus/a.py && ls", Status.FOUND),
        ("cp lib/site-packages/opacus/a.py .", Status.CLEAN),
        ("ls lib/site-packages/opacus/", Status.CLEAN),
        ("# cp a.py lib/site-packages/opacus/a.py", Status.CLEAN),
    ],
)
def test_only_commands_that_change_an_installed_file_count(command: str, expected: Status, write: Write) -> None:
    assert status("dependency-edited", write(**{"train.py": ENGINE, "run.sh": f"{command}\n"})) is expected


@pytest.mark.parametrize(
    ("rate", "step", "zero"),
    [
        ("min(1, step / w)", "0", True),
        ("min(float(step) / w, 1.0)", "0", True),
        ("min(1, step / w)", "5", False),
        ("max(1, step / w)", "0", False),
        ("1 - step / w", "0", False),
        ("min(1, w / step)", "0", False),
    ],
)
def test_a_rate_stuck_at_zero_is_said_to_be_zero(rate: str, step: str, zero: bool, write: Write) -> None:
    text = f"def set_lr(o, step):\n  o['lr'] = {rate}\nfor x in l:\n  x.backward()\n  set_lr(o, {step})\n"
    found = finding("learning-rate-step-constant", write(**{"train.py": text}))
    assert any("the rate is 0" in seen.what for seen in found.evidence) is zero
    assert found.severity is Severity.LOW  # it says nothing against the privacy of what was trained


@pytest.mark.parametrize(("ident", "text"), [(ident, text) for ident, texts in NEAR.items() for text in texts])
def test_what_only_resembles_a_flaw_is_no_finding(ident: str, text: str, write: Write) -> None:
    assert status(ident, write(**{"train.py": f"{ENGINE}{text}\n"})) in (Status.CLEAN, Status.SKIPPED)


def test_every_reading_check_has_near_misses() -> None:
    assert set(NEAR) == set(READING)


BY_PATTERN = {  # the bad cases that may mean something else; the others show the flaw by their structure
    "best-checkpoint-loaded/by-hand",
    "dependency-edited/comment",
    "empty-batch-continued/list",
    "epochs-from-other-loader/another-loader",
    "grad-sample-expanded/not-kept",
    "loss-aware-sampler/not-said",
    "loss-aware-sampler/records-drawn-by-loss",
    "raw-losses-written/logged",
    "seed-without-secure-mode/importing-file",
    "shuffle-accounted-as-poisson/loader-of-unknown-use",
    "shuffle-accounted-as-poisson/trainers-own-loader",
    "validation-drawn-from-train/in-memory",
}


@pytest.mark.parametrize("ident", READING)
def test_confidence_follows_from_how_a_flaw_is_seen(ident: str) -> None:
    for case in sorted((CASES / ident / "bad").iterdir()):
        expected = Basis.PATTERN if f"{ident}/{case.name}" in BY_PATTERN else Basis.READ
        found = finding(ident, Subject(CARD, code=case / "code"))
        assert found.basis is expected, case.name
        assert all(("by its pattern" in e.what) == (expected is Basis.PATTERN) for e in found.evidence)
        assert ("may mean something else" in found.summary) == (expected is Basis.PATTERN)


# ---------------------------------------------------------------- places, lines, confidence


def test_each_line_is_named_and_quoted_with_the_commit(write: Write, tmp_path: Path) -> None:
    subject = write(**{"a/train.py": "x = 1\n  \nsigma_small = False,   \n", ".git/HEAD": "ab" * 20})
    found = finding("trailing-comma-tuple", subject)
    (evidence,) = found.evidence
    assert evidence.source == "code"
    assert evidence.where == f"a/train.py:3 at {'ab' * 20}"
    assert evidence.what == "sigma_small becomes a tuple: sigma_small = False,"
    assert "Released code may differ" in found.summary
    assert "Not seen:" in found.summary
    assert str(tmp_path) not in found.model_dump_json()


def test_many_lines_are_one_finding_of_limited_length(write: Write) -> None:
    found = finding("trailing-comma-tuple", write(**{"a.py": "x = False,\n" * 50}))
    assert len(found.evidence) == SHOWN + 1
    assert found.evidence[-1].what == f"{50 - SHOWN} more lines like these"


def test_a_line_is_cut_and_its_control_characters_are_escaped(write: Write) -> None:
    found = finding("trailing-comma-tuple", write(**{"a.py": f"x = False,  # \x1b[31m \u202e {'y' * 500}\n"}))
    what = found.evidence[0].what
    assert "\\u001b[31m \\u202e" in what
    assert what.endswith("…")
    assert len(what) <= QUOTED + 100


def test_a_pattern_beside_a_structure_adds_evidence_and_no_weight(write: Write) -> None:
    pattern = "for b in loader:\n  if type(b) == list:\n    continue\n  b.backward()\n"
    structure = pattern.replace("type(b) == list", "len(b) == 0")
    assert finding("empty-batch-continued", write(**{"train.py": ENGINE + pattern})).basis is Basis.PATTERN
    both = finding("empty-batch-continued", write(**{"train.py": ENGINE + pattern + structure}))
    assert both.basis is Basis.READ
    assert ["by its pattern" in evidence.what for evidence in both.evidence] == [False, True]


def test_the_flag_that_a_script_passes_false_weighs_more(write: Write) -> None:
    flag = {"train.py": "parser.add_argument('--use-dp', type=bool)\n"}
    assert finding("boolean-flag-always-true", write(**flag)).severity is Severity.LOW
    found = finding("boolean-flag-always-true", write(**flag, **{"run.sh": "python train.py \\\n  --use-dp False\n"}))
    assert found.severity is Severity.MEDIUM
    assert "run.sh:2" in {evidence.where for evidence in found.evidence}


def test_files_that_could_not_be_read_are_named_beside_any_answer(write: Write) -> None:
    outcome = put(READING["trailing-comma-tuple"], write(**{"a.py": "x = 1\n", "old.py": "print 'x'\n"}))
    assert outcome.status is Status.SKIPPED
    assert "old.py (not this Python's syntax at line 1)" in outcome.skips[0].reason


def test_five_unread_files_are_named_and_the_others_counted(write: Write) -> None:
    subject = write(**{f"old{number}.py": "print 'x'\n" for number in range(5)})
    reasons = [skip.reason for skip in put(READING["trailing-comma-tuple"], subject).skips]
    assert reasons[-1].count("old") == 5
    assert "more" not in reasons[-1]
    more = write(**{"old5.py": "print 'x'\n"})
    assert put(READING["trailing-comma-tuple"], more).skips[-1].reason.endswith("; 1 more.")


def test_per_record_gradients_are_judged_also_without_an_engine_in_sight(write: Write) -> None:
    assert status("grad-sample-expanded", write(**{"a.py": "n = p.grad_sample.norm()\n"})) is Status.CLEAN
    assert status("grad-sample-expanded", write(**{"a.py": "n = p.grad.norm()\n"})) is Status.SKIPPED


def test_a_command_names_a_script_by_its_path_where_several_share_a_name(write: Write) -> None:
    text = "parser.add_argument('--private', type=bool)\n"
    subject = write(**{"x/a/t.py": text, "x/b/t.py": text, "run.sh": "python ./x/b/t.py --private no\n"})
    found = finding("boolean-flag-always-true", subject)
    assert [e.where for e in found.evidence] == ["run.sh:1", "x/a/t.py:1", "x/b/t.py:1"]
    subject = write(**{"run.sh": "python b/t.py --private no\n"})
    assert "run.sh:1" in [e.where for e in finding("boolean-flag-always-true", subject).evidence]
    subject = write(**{"run.sh": "python t.py --private no\n"})
    assert "run.sh:1" not in [e.where for e in finding("boolean-flag-always-true", subject).evidence]


def test_without_code_every_reading_check_is_a_skip_that_says_how_to_give_it() -> None:
    for check in READING.values():
        (skip,) = put(check, Subject(CARD)).skips
        assert "--code" in skip.needs


# ---------------------------------------------------------------- which files belong to private training


def test_a_file_is_beside_private_training_by_imports_and_not_by_lying_there(write: Write) -> None:
    subject = write(
        **{
            "p/train.py": f"{ENGINE}from .loop import run\nimport helpers.data\n",
            "p/loop.py": "import torch\n",
            "helpers/data.py": "",
            "helpers/__init__.py": "",
            "main.py": "from p import train\n",
            "other.py": "import torch, p.loop\n",
            "alone.py": "import train_everything\n",
            "top.py": "import p.train as whole\n",
        }
    )
    beside = [source.path for source in subject.checkout.private]
    assert beside == ["helpers/data.py", "main.py", "p/loop.py", "p/train.py", "top.py"]


def test_a_package_is_its_init_file(write: Write) -> None:
    subject = write(**{"train.py": f"{ENGINE}import helpers\n", "helpers/__init__.py": "", "helpers/x.py": ""})
    assert [source.path for source in subject.checkout.private] == ["helpers/__init__.py", "train.py"]


def test_the_nearer_of_two_files_of_one_name_is_meant_and_a_tie_means_none(write: Write) -> None:
    engine = {"a/utils.py": "", "b/utils.py": "", "a/train.py": f"{ENGINE}import utils\n"}
    assert [s.path for s in write(**engine).checkout.private] == ["a/train.py", "a/utils.py"]
    tie = {"c/train.py": f"{ENGINE}import utils\n"}
    assert "b/utils.py" not in [s.path for s in write(**engine, **tie).checkout.private]


def test_a_command_belongs_to_the_script_nearest_to_it(write: Write) -> None:
    text = "parser.add_argument('--private', type=bool)\n"
    scripts = {f"{place}/run.sh": f"python train.py --private {value}\n" for place, value in (("a", 0), ("b", 1))}
    found = finding("boolean-flag-always-true", write(**{"a/train.py": text, "b/train.py": text}, **scripts))
    assert [e.where for e in found.evidence if e.where.endswith("sh:1")] == ["a/run.sh:1"]


def test_engines_above_the_limit_are_noted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.code.checkout.MAX_ENGINES", 1)
    read = write(**{"a.py": ENGINE, "b.py": ENGINE, "c.py": ENGINE, "d.py": "x = 1\n"}).checkout
    assert [source.path for source in read.engines] == ["a.py"]
    assert [(note.path, note.why) for note in read.notes] == [("b.py", "one of more than 1 with a privacy engine")]


def test_a_wrapped_model_that_only_generates_is_no_private_training(write: Write) -> None:
    text = "from opacus import GradSampleModule\nset_seed(42)\nmodel = GradSampleModule(m)\nmodel.load_state_dict(w)\n"
    assert status("seed-without-secure-mode", write(**{"generate.py": text})) is Status.SKIPPED


# ---------------------------------------------------------------- the whole


def test_an_audit_with_code_finds_what_lies_in_it_and_repeats_byte_for_byte() -> None:
    case = CASES / "grad-sample-expanded" / "bad" / "kept"
    results = [run_audit(case, code=CASES / "trailing-comma-tuple" / "bad" / "switch" / "code") for _ in range(2)]
    found = {o.check for o in results[0].outcomes if o.findings}
    assert found == {"trailing-comma-tuple"}
    bodies = [json.loads(to_json(result)) for result in results]
    for body in bodies:
        body.pop("provenance")
    assert json.dumps(bodies[0]) == json.dumps(bodies[1])
    assert str(CASES) not in json.dumps(bodies[0])
    assert {len(result.provenance.inputs["code"]) for result in results} == {64}
    assert "code" not in run_audit(CASES / "delta-too-large" / "bad" / "one-over-n").provenance.inputs


@cache
def lines() -> list[str]:
    """Every line of the cases' programs."""
    files = [path for ident in READING for path in sorted((CASES / ident).rglob("*.py"))]
    return sorted({line for path in files for line in path.read_text(encoding="utf-8").splitlines()})


@settings(max_examples=60)
@given(st.data())
def test_no_check_fails_on_a_program_of_shuffled_lines(data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.sampled_from(lines()), max_size=25))
    kept: list[str] = []
    for line in drawn:  # a line that would make the whole unreadable is put as a statement of its own, or left out
        for form in (line, line.strip()):
            if source_of(File("a.py", "python", "\n".join([*kept, form]).encode()))[0] is not None:
                kept.append(form)
                break
    source, _ = source_of(File("train.py", "python", (ENGINE + "\n".join(kept)).encode()))
    assert source is not None
    subject = Subject(CARD)
    subject.__dict__["checkout"] = Checkout((source,))
    for check in READING.values():
        outcome = put(type(check)(check.ident, check.question, (), check.answer), subject, debug=True)
        assert outcome.error is None
        assert all(len(e.what) < 400 for f in outcome.findings for e in f.evidence)


def test_what_was_read_has_a_digest_of_names_and_bytes(write: Write, tmp_path: Path) -> None:
    digests = [write(**{"a.py": "x = 1\n"}).checkout.sha256]
    digests.append(write(**{"a.py": "x = 2\n"}).checkout.sha256)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    digests.append(read_checkout(tmp_path).sha256)
    write(**{"data.csv": "not read"})
    assert len(set(digests)) == 3
    assert read_checkout(tmp_path).sha256 == digests[-1]


def test_the_privacy_library_itself_shows_no_flaw() -> None:
    opacus = find_spec("opacus")
    assert opacus is not None
    subject = Subject(CARD, code=Path(opacus.submodule_search_locations[0]))  # type: ignore[index]
    assert subject.checkout.engines
    found = {ident: put(check, subject).findings for ident, check in READING.items()}
    assert {ident: f for ident, f in found.items() if f} == {}


def test_reading_a_folder_that_vanished_is_a_note(tmp_path: Path) -> None:
    assert [note.why for note in read_checkout(tmp_path / "gone").notes] == ["the folder cannot be opened"]
