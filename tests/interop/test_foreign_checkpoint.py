"""Other people's files are read without running any of their code."""

import argparse
import os
import pickle
import tarfile
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vitreous.errors import DataError
from vitreous.interop.foreign_checkpoint import read_checkpoint

WEIGHTS = {"a.weight": torch.arange(4.0), "a.bias": torch.ones(1)}
OPTIONS = argparse.Namespace(model="deit_tiny", lr=5e-4, decay=[0.1, 0.2], resume=None)


class Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def same(weights: dict[str, torch.Tensor]) -> bool:
    return weights.keys() == WEIGHTS.keys() and all(
        torch.equal(weights[name], WEIGHTS[name]) for name in weights
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle from before 1.6"])
@pytest.mark.parametrize(
    ("held", "place", "beside"),
    [
        (WEIGHTS, "", ()),
        (OrderedDict(WEIGHTS), "", ()),
        ({"model": WEIGHTS, "epoch": 299, "args": OPTIONS, "scaler": {"scale": 2.0}}, "model", 3),
        (
            {"epoch": 1, "arch": "SReT_LT", "best_acc1": torch.tensor(78.7), "state_dict": WEIGHTS},
            "state_dict",
            3,
        ),
        ({"model_state_dict": OrderedDict(WEIGHTS)}, "model_state_dict", 0),
    ],
)
def test_weights_are_found_where_trainers_put_them(
    tmp_path: Path, held: Any, place: str, beside: Any, zipped
) -> None:
    file = tmp_path / "theirs.pth"
    torch.save(held, file, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(file)
    assert same(found.weights) and found.place == place and not found.wrapped
    assert len(found.beside) == (beside or 0)


def test_the_wrappers_prefix_is_taken_off(tmp_path: Path) -> None:
    torch.save({"state_dict": {f"module.{name}": each for name, each in WEIGHTS.items()}}, tmp_path / "a.pth")
    found = read_checkpoint(tmp_path / "a.pth")
    assert same(found.weights) and found.wrapped


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    assert same(read_checkpoint(tmp_path / "a.safetensors").weights)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("held", "needs"),
    [
        ({"model": WEIGHTS, "extra": Bomb()}, f"{os.system.__module__}.system"),
        ({"model": WEIGHTS, "args": argparse.Namespace(hidden=Bomb())}, f"{os.system.__module__}.system"),
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"model": WEIGHTS, "args": argparse.Namespace(out=Path("x"))}, "pathlib"),
    ],
)
def test_a_file_that_needs_code_is_refused_unopened_and_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: Any, needs: str, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(held, tmp_path / "theirs.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=rf"theirs\.pth needs {needs}.* could run anybody's code: refused"):
        read_checkpoint(tmp_path / "theirs.pth")
    assert not (tmp_path / "ran").exists()


def test_a_program_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "theirs.pt")
    with pytest.raises(DataError, match="needs TorchScript to be opened"):
        read_checkpoint(tmp_path / "theirs.pt")


def damaged(tmp_path: Path) -> dict[str, Path]:
    files = {name: tmp_path / f"{name}.pth" for name in ("empty", "noise", "half", "pickle", "text")}
    files["empty"].touch()
    files["noise"].write_bytes(bytes(range(256)) * 4)
    torch.save(WEIGHTS, tmp_path / "whole.pth")
    files["half"].write_bytes((tmp_path / "whole.pth").read_bytes()[:400])
    files["pickle"].write_bytes(pickle.dumps({"model": Bomb()}))
    files["text"].write_text("# not found\n")
    files["tar"] = tmp_path / "old.tar"
    with tarfile.open(files["tar"], "w") as archive:
        archive.add(files["pickle"], arcname="pickle")
    files["safetensors"] = tmp_path / "short.safetensors"
    files["safetensors"].write_bytes(b"abc")
    return files


@pytest.mark.parametrize("kind", ["empty", "noise", "half", "pickle", "text", "tar", "safetensors"])
def test_what_is_no_checkpoint_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = damaged(tmp_path)[kind]
    with pytest.raises(DataError) as refused:
        read_checkpoint(file)
    assert str(refused.value) == (
        f"{file} is truncated, damaged, or no checkpoint of PyTorch or safetensors at all"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            {"epoch": 3, "net": WEIGHTS},
            "holds no weights at the top nor under model, state_dict, .*; it holds epoch, net",
        ),
        ([1, 2], "it holds list"),
        ({}, "holds no weights"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(tmp_path: Path, held: Any, message: str) -> None:
    torch.save(held, tmp_path / "theirs.pth")
    with pytest.raises(DataError, match=message):
        read_checkpoint(tmp_path / "theirs.pth")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.pth"):
        with pytest.raises(DataError, match="is not a file; give a checkpoint such as model"):
            read_checkpoint(path)
