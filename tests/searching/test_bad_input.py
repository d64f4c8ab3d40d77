"""What a search cannot work with: one sentence, an exit code, and nothing trained that is then of no use."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("optuna")

from tests.searching.commands import words
from tests.searching.spaces import tiny_psvit
from vitreous.cli.main import main
from vitreous.errors import StoppedError
from vitreous.searching.ledger import Ledger
from vitreous.training.loop import Loop

Told = Callable[[list[str]], tuple[int, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Exit code and the one sentence of a command."""

    def run(command: list[str]) -> tuple[int, str]:
        capsys.readouterr()
        code = main(command)
        said = capsys.readouterr().err
        assert said.count("vitreous: ") == (code != 0) and "Traceback" not in said
        return code, said.rpartition("vitreous: ")[2]

    return run


@pytest.fixture
def space(tmp_path: Path) -> Path:
    file = tmp_path / "space.json"
    file.write_text(json.dumps(tiny_psvit(depth=4).to_json()))
    return file


def test_a_measured_budget_that_no_candidate_meets(space: Path, told: Told, tmp_path: Path) -> None:
    code, said = told(words(space, tmp_path / "s", "--budget", "latency_ms=0.00001"))
    assert code == 6
    assert "none of 6 candidates is within latency_ms=1e-05 on this machine; the best of them takes" in said


ILLEGAL = """
from vitreous.models.init import DeiTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import *
from vitreous.searching.choice import Choice

def space(image, classes):
    own = Block((Mix(Attention(3, lends=True)), FeedForward(2)))
    either = Block((Choice((Mix(Attention(3)), Mix(%s))), FeedForward(2)))
    return VisionTransformer(
        image=image, stem=PatchStem(2, 24), prefix=NoPrefix(), position=NoPosition(),
        layers=(%s), head=MeanHead(classes), init=DeiTInit(),
    )
"""


@pytest.mark.parametrize(
    ("option", "layers", "message"),
    [
        ("Attention(5)", "own, own, either", "layer 2, picks (1,)"),  # 24 channels and 5 heads
        ("SharedAttention(3)", "either, own", "layer 0, picks (1,)"),  # nobody lends before it
    ],
)
def test_an_illegal_choice_is_named_with_its_layer(
    option: str, layers: str, message: str, told: Told, tmp_path: Path
) -> None:
    file = tmp_path / "space.py"
    file.write_text(ILLEGAL % (option, layers))
    code, said = told(words(file, tmp_path / "s"))
    assert (code, message in said) == (2, True), said
    assert not (tmp_path / "s").exists()


def test_data_of_one_class(space: Path, told: Told, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "roses"
    folder.mkdir(parents=True)
    for number in range(20):
        Image.fromarray(np.full((8, 8, 3), 10 * number, np.uint8)).save(folder / f"{number}.png")
    command = words(space, tmp_path / "s")
    command[command.index("digits")] = str(tmp_path / "photos")
    code, said = told(command)
    assert (code, "only one class ('roses')" in said) == (3, True), said


def test_a_storage_that_cannot_be_reached_is_told_before_anything_is_trained(
    space: Path, told: Told, tmp_path: Path
) -> None:
    for address in ("sqlite:////nowhere/at/all.sqlite", "nonsense://me:secret-word@host/db"):
        code, said = told(words(space, tmp_path / "s", "--storage", address))
        assert (code, "cannot be used" in said) == (2, True), said
        assert "secret-word" not in said
        assert not (tmp_path / "s").exists()


def test_a_ledger_of_another_space_or_data_set_is_refused_before_anything_is_trained(
    space: Path, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = ("--storage", f"sqlite:///{tmp_path / 'shared.sqlite'}")
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "claim", lambda *_: (_ for _ in ()).throw(StoppedError("enough")))
        assert told(words(space, tmp_path / "a" / "s", *storage))[0] == 75
    other = tmp_path / "other.json"
    other.write_text(json.dumps(tiny_psvit(depth=5).to_json()))
    code, said = told(words(other, tmp_path / "b" / "s", *storage))
    assert (code, "the ledger is of another search (space: '" in said) == (2, True), said
    assert "data:" not in said
    code, said = told(words(space, tmp_path / "b" / "s", *storage, "--loading.limit", "100"))
    assert (code, "the ledger is of another search (data: '" in said) == (2, True), said
    assert not (tmp_path / "b" / "s").exists()


def test_a_retraining_that_is_interrupted_goes_on(
    space: Path, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finished(out: Path) -> tuple[Any, ...]:
        state = json.loads((out / "search.json").read_text())
        weights = (out / "model" / "model.safetensors").read_bytes()
        return state["phase"], state["genome"], state["metrics"], weights

    whole, out = tmp_path / "whole", tmp_path / "s"
    assert told(words(space, whole))[0] == 0
    move = Loop._move

    def told_to_stop(self: Loop, *given: Any) -> Any:
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return move(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_move", told_to_stop)
        code, said = told(words(space, out))
    assert (code, "the same command continues" in said) == (75, True), said
    assert json.loads((out / "search.json").read_text())["phase"] == "retraining"
    assert told(words(space, out))[0] == 0
    assert finished(out) == finished(whole)
