"""Checkpoints are whole or absent, prove it, and never run code."""

import errno
import hashlib
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.training import checkpoint as module
from vitreous.training.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_newest,
    remove_unfinished,
    save_checkpoint,
)


def example(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    weight = torch.randn(4, 3, 2, 2, generator=generator).contiguous(memory_format=torch.channels_last)
    parameter = torch.nn.Parameter(weight.clone())
    optimizer = torch.optim.AdamW([parameter], lr=1e-3)
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return Checkpoint(
        weights={"model": {"stem.weight": weight}, "ema": {"stem.weight": 2 * weight}},
        optimizer={"optimizer": optimizer.state_dict(), "scaler": {}, "averaged": step},
        state={"step": step, "best": {"top1": 0.1 + 0.2}, "window": [1 / 3]},
    )


def save(folder: Path, *steps: int, keep: int = 5) -> None:
    for step in steps:
        save_checkpoint(folder, example(step), keep=keep)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_what_is_saved_comes_back_exactly(tmp_path):
    save(tmp_path, 7)
    loaded, saved = load_newest(tmp_path), example(7)
    assert loaded is not None
    assert loaded.state == {"format_version": module.FORMAT_VERSION, **saved.state}
    for name, weights in saved.weights.items():
        assert torch.equal(loaded.weights[name]["stem.weight"], weights["stem.weight"])
    moments = loaded.optimizer["optimizer"]["state"][0]
    assert torch.equal(moments["exp_avg"], saved.optimizer["optimizer"]["state"][0]["exp_avg"])
    assert loaded.optimizer["averaged"] == 7


def test_a_folder_without_checkpoints_loads_nothing(tmp_path):
    assert load_newest(tmp_path) is None


def test_only_the_newest_are_kept_and_last_points_to_the_newest(tmp_path):
    save(tmp_path, 1, 9, 10, 100, keep=2)
    assert [each.name for each in list_checkpoints(tmp_path)] == ["step-000100", "step-000010"]
    assert (tmp_path / "last").resolve().name == "step-000100"


@pytest.mark.parametrize(
    "damage", [truncate, flip_a_bit, Path.unlink], ids=["truncated", "flipped", "missing"]
)
@pytest.mark.parametrize(
    "name", ["model.safetensors", "ema.safetensors", "optimizer.pt", "state.json", "SHA256SUMS"]
)
def test_a_damaged_newest_is_said_and_the_one_before_is_used(
    tmp_path, caplog, damage: Callable[[Path], None], name: str
):
    save(tmp_path, 1, 2)
    damage(tmp_path / "step-000002" / name)
    with caplog.at_level(logging.WARNING, "vitreous"):
        loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.state["step"] == 1
    assert "step-000002 is damaged" in caplog.text
    assert "using the one before" in caplog.text


def test_a_damaged_checkpoint_is_replaced_when_the_run_comes_past_it_again(tmp_path):
    save(tmp_path, 1, 2)
    flip_a_bit(tmp_path / "step-000002" / "model.safetensors")
    save(tmp_path, 2)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.state["step"] == 2


def test_no_whole_checkpoint_is_one_clear_error(tmp_path):
    save(tmp_path, 1, 2)
    for each in list_checkpoints(tmp_path):
        truncate(each / "model.safetensors")
    with pytest.raises(ConfigError, match=r"none of the 2 checkpoints is whole.*--fresh"):
        load_newest(tmp_path)


def test_a_checkpoint_with_code_in_it_is_refused_and_the_code_never_runs(tmp_path):
    save(tmp_path, 1, 2)
    marker = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    path = tmp_path / "step-000002" / "optimizer.pt"
    torch.save({"optimizer": Code()}, path)
    sums = path.parent / "SHA256SUMS"  # an attacker would make the sums fit
    lines = [line for line in sums.read_text().splitlines(keepends=True) if "optimizer.pt" not in line]
    sums.write_text("".join(lines) + f"{hashlib.sha256(path.read_bytes()).hexdigest()}  optimizer.pt\n")
    with pytest.raises(ConfigError, match=r"optimizer\.pt holds more than tensors.*refused"):
        load_newest(tmp_path)
    assert not marker.exists()
    path.write_bytes(pickle.dumps(Code(), protocol=2))  # a bare pickle as well
    sums.write_text("".join(lines) + f"{hashlib.sha256(path.read_bytes()).hexdigest()}  optimizer.pt\n")
    with pytest.raises(ConfigError, match="refused"):
        load_newest(tmp_path)
    assert not marker.exists()


def test_a_checkpoint_of_a_newer_format_is_named_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FORMAT_VERSION", 3)
    save(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="checkpoint format 3 is not the 2"):
        load_newest(tmp_path)


@pytest.mark.parametrize("point", ["model.safetensors", "optimizer.pt", "SHA256SUMS", "rename"])
def test_a_full_disk_leaves_the_earlier_checkpoint_and_nothing_else(tmp_path, monkeypatch, point: str):
    save(tmp_path, 1)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(path: Path, content: bytes) -> None:
        if path.name == point:
            path.write_bytes(content[: len(content) // 2])
            raise full
        path.write_bytes(content)

    def rename(path: Path, target: Path) -> None:
        raise full

    monkeypatch.setattr(module, "write_synced", write)
    if point == "rename":
        monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["last", "step-000001"]
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.state["step"] == 1


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    save(tmp_path, 1)
    (tmp_path / ".writing-step-000002-99").mkdir()
    (tmp_path / ".writing-step-000002-99" / "model.safetensors").write_bytes(b"half")
    remove_unfinished(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["last", "step-000001"]
