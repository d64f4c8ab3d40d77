"""A step that is not finite is looked at again: the first module is named, batch and weights are kept."""

import json
import math
import re

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vitreous.errors import DivergedError
from vitreous.training.loop import Loop
from vitreous.training.step import TrainStep
from vitreous.training.watch import Watch


class Overflow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 1e38 * 1e38


class RootAtZero(nn.Module):
    """Finite going forward, and no slope at zero going backward."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 0).sqrt() + x


def test_the_innermost_first_module_is_named_going_forward():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Identity(), Overflow()), nn.Linear(2, 2))
    with Watch(model) as watch:
        model(torch.ones(1, 2))
    assert watch.there == "1.1 (Overflow)"
    assert [seen.finite for seen in watch.outputs] == [True, True, False, False, False]


def test_the_innermost_module_is_named_whose_gradient_is_first_not_finite():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(RootAtZero(), nn.Linear(2, 2)), nn.Linear(2, 1))
    with Watch(model) as watch:
        model(torch.ones(1, 2)).sum().backward()
    assert watch.there is None and watch.back == "1.0 (RootAtZero)"


def test_watching_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(2, 2))
    with Watch(model):
        pass
    assert not model[0]._forward_hooks and not model[0]._forward_pre_hooks


@pytest.fixture
def broken_weight(monkeypatch):
    """From step 7 on the weights of the classifier are so large that its output overflows."""
    original = TrainStep.backward

    def backward(self, shown, step):
        if step == 7:
            with torch.no_grad():
                self.model.head.classifier.weight.fill_(3e38)
        return original(self, shown, step)

    monkeypatch.setattr(TrainStep, "backward", backward)


def kept(run):
    (place,) = (run / "debug").iterdir()
    return place, json.loads((place / "divergence.json").read_text())


def test_the_message_names_the_module_and_the_folder_keeps_the_batch(tiny_run, tmp_path, broken_weight):
    with pytest.raises(DivergedError, match=r"step 7 .*first in head\.classifier \(Linear\), going forward"):
        tiny_run()
    place, told = kept(tmp_path / "run")
    assert place.name == "step-000007"
    batch, weights = load_file(place / "batch.safetensors"), load_file(place / "weights.safetensors")
    assert batch["images"].shape == (16, 1, 8, 8) and len(batch["targets"]) == 16
    assert float(weights["head.classifier.weight"].max()) == pytest.approx(3e38, rel=1e-6)
    assert told["what"] == "loss" and {"dropout", "augment"} <= told["stream_seeds"].keys()
    assert told["looks"][0]["finite"] is False


def test_a_loss_read_one_step_late_finds_batch_and_weights_of_its_step(tiny_run, tmp_path, monkeypatch):
    original = TrainStep.backward

    def backward(self, shown, step):
        poisoned = shown._replace(images=shown.images * math.nan) if step == 7 else shown
        return original(self, poisoned, step)

    monkeypatch.setattr(TrainStep, "backward", backward)
    found = {}
    for late in (False, True):
        monkeypatch.setattr(Loop, "__post_init__", _reading(late))
        out = tmp_path / str(late)
        with pytest.raises(DivergedError, match="loss is nan at step 7"):
            tiny_run(out=str(out), saving={"every_s": 1e9})
        place, _ = kept(out)
        found[late] = load_file(place / "weights.safetensors") | load_file(place / "batch.safetensors")
    assert found[True].keys() == found[False].keys()
    assert all(torch.equal(value, found[True][name]) for name, value in found[False].items())


def _reading(late: bool):
    original = Loop.__post_init__

    def post_init(self):
        getattr(original, "plain", original)(self)
        self._waits = not late

    post_init.plain = getattr(original, "plain", original)
    return post_init


def test_a_spike_is_reported_with_rate_and_norm_and_changes_nothing(tiny_run, tmp_path, monkeypatch, caplog):
    plain = tiny_run(epochs=10, eval_every=10)
    original = Loop._count

    def count(self, measured, step, shown=None):
        if step == 55:
            measured = torch.stack([measured[0] * 100, measured[1]])
        return original(self, measured, step, shown)

    monkeypatch.setattr(Loop, "_count", count)
    spiked = tiny_run(epochs=10, eval_every=10, out=str(tmp_path / "spiked"))
    assert len(re.findall(r"loss spike at step 55 .*is usual; lr .*, gradient norm", caplog.text)) == 1
    files = [each.model_dir / "model.safetensors" for each in (plain, spiked)]
    assert files[0].read_bytes() == files[1].read_bytes()
