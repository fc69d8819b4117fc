"""Published checkpoints become safetensors, or are refused in one line with nothing written."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from reimpl import checkpoints
from reimpl.checkpoints import CheckpointError, import_checkpoint, load, read_checkpoint, read_config


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_a_checkpoint_comes_back_as_the_model_it_was(tiny: Any, tmp_path: Path) -> None:
    file = saved(tmp_path / "ema_0.9999_000100.pt", dict(tiny.model.state_dict()))
    out = import_checkpoint(tiny.name, file, tmp_path / "out", tiny.config)
    model = load(out)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
    assert model.config == tiny.config
    assert not model.training
    for (key, ours), theirs in zip(model.state_dict().items(), tiny.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), key


def test_importing_twice_gives_the_same_bytes(tiny: Any, tmp_path: Path) -> None:
    file = saved(tmp_path / "model.pt", dict(tiny.model.state_dict()))
    folders = [import_checkpoint(tiny.name, file, tmp_path / out, tiny.config) for out in ("a", "b")]
    for name in ("config.json", "model.safetensors"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_genies_dict_is_unwrapped_and_its_stale_buffer_dropped(make: Any, tmp_path: Path) -> None:
    tiny = make("genie")
    weights = dict(tiny.model.state_dict())
    weights["passage_encoder.embeddings.position_ids"] = torch.arange(20)[None]
    content = {"model_dict": weights, "optimizer_dict": {"state": {}}, "scheduler_dict": {}, "offset": 3}
    model = load(import_checkpoint("genie", saved(tmp_path / "c.pt", content), tmp_path / "out", tiny.config))
    assert torch.equal(model.lm_head.bias, tiny.model.lm_head.bias)


def test_a_checkpoint_of_another_size_is_refused_by_key_and_shape(make: Any, tmp_path: Path) -> None:
    tiny = make("diffuseq")
    file = saved(tmp_path / "tiny.pt", dict(tiny.model.state_dict()))
    with pytest.raises(CheckpointError, match=r"\d+ keys missing") as refused:
        import_checkpoint("diffuseq", file, tmp_path / "out")
    assert "\n" not in str(refused.value)
    with pytest.raises(CheckpointError, match="not a genie checkpoint"):
        import_checkpoint("genie", file, tmp_path / "out")
    wider = type(tiny.config)(**asdict(tiny.config) | {"vocab_size": 51})
    with pytest.raises(CheckpointError, match=r"word_embedding.weight: expected shape \(51, 6\); got \(50, 6\)"):
        import_checkpoint("diffuseq", file, tmp_path / "out", wider)
    assert not (tmp_path / "out").exists()


def test_a_missing_tie_is_refused(tiny: Any, tmp_path: Path) -> None:
    weights = {key: value.clone() for key, value in tiny.model.state_dict().items()}
    weights["lm_head.weight"] += 1
    file = saved(tmp_path / "untied.pt", weights)
    with pytest.raises(CheckpointError, match=r"lm_head\.weight differs from .*expected one tied tensor"):
        import_checkpoint(tiny.name, file, tmp_path / "out", tiny.config)
    with pytest.raises(CheckpointError, match="one tied tensor"):
        tiny.module.Model.from_published(weights, tiny.config)


def test_truncated_wrong_and_missing_files_are_refused(tiny: Any, tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.pt", dict(tiny.model.state_dict())).read_bytes()
    for name, content in {"cut.pt": whole[: len(whole) // 2], "empty.pt": b"", "text.pt": b"not a checkpoint"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match="truncated, or not a checkpoint of tensors only"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match="expected a state_dict"):
        read_checkpoint(saved(tmp_path / "list.pt", [torch.zeros(2)]))
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "nowhere.pt")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path / "hostile.pt", {"weight": torch.zeros(1), "payload": Hostile()})
    with pytest.raises(CheckpointError, match="tensors only"):
        read_checkpoint(file)
    assert not (tmp_path / "executed").exists()


def test_a_failed_write_leaves_no_checkpoint(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoints.os, "replace", broken)
    file = saved(tmp_path / "m.pt", dict(tiny.model.state_dict()))
    with pytest.raises(OSError, match="disk full"):
        import_checkpoint(tiny.name, file, tmp_path / "out", tiny.config)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_settings_are_read_from_ours_and_from_the_authors_file(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text(json.dumps({"model": tiny.name, **asdict(tiny.config)}))
    assert read_config(tmp_path / "ours.json", tiny.name) == tiny.config
    (tmp_path / "theirs.json").write_text('{"model": {"vocab_size": 9}}')
    with pytest.raises(CheckpointError, match=r"theirs\.json: config\.json: .* is missing"):
        read_config(tmp_path / "theirs.json", tiny.name)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(CheckpointError, match="expected a readable JSON file"):
        read_config(tmp_path / "bad.json", tiny.name)


def test_genies_tuple_means_the_small_variance() -> None:
    assert checkpoints.published_variance({"diffusion": {"sigma_small": [False]}}) == "fixed_small"
    assert checkpoints.published_variance({"diffusion": {"sigma_small": False}}) == "fixed_large"
    assert checkpoints.published_variance({"diffusion": {"sigma_small": True}}) == "fixed_small"
    assert checkpoints.published_variance({}) == "fixed_large"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected config\.json and model\.safetensors"):
        load(tmp_path)
