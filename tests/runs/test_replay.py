"""A batch that was kept because it was not finite gives the same answer when it is replayed."""

import json

import pytest
import torch

from tests.training.test_guidance import GUIDED, THREE
from tests.training.test_mixed_depth import THREE as RECURSIVE
from vitreous.cli.main import main
from vitreous.errors import ConfigError, DivergedError
from vitreous.runs.replay import replay
from vitreous.training.step import TrainStep


def test_a_replay_names_the_module_again(tiny_run, tmp_path, monkeypatch, capsys):
    original = TrainStep.backward

    def backward(self, shown, step):
        if step == 3:
            with torch.no_grad():
                self.model.head.classifier.weight.fill_(3e38)
        return original(self, shown, step)

    with monkeypatch.context() as patch, pytest.raises(DivergedError):
        patch.setattr(TrainStep, "backward", backward)
        tiny_run()
    found = replay(tmp_path / "run")
    assert (found.step, found.what) == (3, "loss")
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["looks"][0]["finite"] is False
    assert found.looks[0].first == "first in head.classifier (Linear), going forward"
    assert main(["runs", "replay", str(tmp_path / "run"), "--rows", "2"]) == 0
    out = capsys.readouterr().out
    assert "first in head.classifier" in out and out.splitlines()[-1].endswith("not finite")


def test_a_validation_loss_is_replayed_with_the_weights_that_were_validated(tiny_run, tmp_path, monkeypatch):
    original = TrainStep.update

    def update(self):
        original(self)
        if int(self.average.n_averaged) == 6:
            with torch.no_grad():
                self.average.module.head.classifier.bias.fill_(float("nan"))

    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "update", update)
        with pytest.raises(
            DivergedError, match=r"val_ema/loss is nan .*head\.classifier\.bias, in validation"
        ):
            tiny_run()
    found = replay(tmp_path / "run")
    assert found.what == "val_ema/loss"
    assert found.looks[0].first == "first in the weights: head.classifier.bias, in validation"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": THREE, "guidance": GUIDED},
        {"model": RECURSIVE, "recipe": {"mixed_depth": "one_turn"}},
    ],
)
def test_what_the_loss_asks_for_beside_logits_is_there_in_a_replay(tiny_run, tmp_path, monkeypatch, changes):
    original = TrainStep.backward

    def backward(self, shown, step):
        if step == 3 and hasattr(self.model, "layers"):  # not the guide's
            with torch.no_grad():
                self.model.head.classifier.weight.fill_(3e38)
        return original(self, shown, step)

    with monkeypatch.context() as patch, pytest.raises(DivergedError, match=r"first in head\.classifier"):
        patch.setattr(TrainStep, "backward", backward)
        tiny_run(epochs=1, **changes)
    assert replay(tmp_path / "run").looks[0].first.startswith("first in head.classifier")


def test_a_run_that_never_failed_has_nothing_to_replay(tmp_path):
    with pytest.raises(ConfigError, match="holds no batch to replay"):
        replay(tmp_path)
