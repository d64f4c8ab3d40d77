"""Mixed-depth training: the mean of two paths' losses, an ordinary model at the end, fewer turns of it."""

import json

import pytest
import torch

import vitreous as vt
from vitreous.errors import ConfigError
from vitreous.models.as_json import to_json
from vitreous.models.deit import deit
from vitreous.models.mixed_depth import mixed_depth
from vitreous.models.recursive import recursive
from vitreous.models.vision_transformer import build
from vitreous.parts import ImageShape
from vitreous.training.objective import EveryPath, Objective, Shown

pytestmark = pytest.mark.usefixtures("without_curves")

HOST = deit(image=ImageShape(1, 8, 8), classes=10, width=16, depth=1, heads=2, patch=4)
THREE = json.dumps(to_json(recursive(HOST, times=3)))


def test_the_loss_is_the_mean_of_both_paths():
    deep, shallow = torch.randn(2, 4, 10)
    shown = Shown(torch.zeros(4, 1, 8, 8), torch.arange(4))
    inner = Objective(0.1)
    expected = (inner(deep, shown) + inner(shallow, shown)) / 2
    torch.testing.assert_close(EveryPath(inner)((deep, shallow), shown), expected)


def test_with_one_turn_both_paths_are_one_and_the_loss_is_the_ordinary_one():
    model = build(recursive(HOST, times=1))
    shown = Shown(torch.randn(4, 1, 8, 8), torch.arange(4))
    mixed = EveryPath(Objective())(mixed_depth(model)(shown.images), shown)
    torch.testing.assert_close(mixed, Objective()(model(shown.images), shown))


def test_the_delivered_model_is_an_ordinary_one_that_runs_with_fewer_turns(tiny_run, monkeypatch):
    result = tiny_run(epochs=1, model=THREE, recipe={"mixed_depth": "drawn"})
    model = vt.load(result.run_dir)
    assert json.dumps(to_json(model.config)) == THREE
    assert model.with_turns(1).config.layers[0].times == 1
    monkeypatch.setattr("vitreous.evaluation.evaluate.write_files", lambda *_, **__: None)  # pictures
    found = vt.evaluate(result.run_dir, turns=1)
    assert found.folder.name == "evaluation-val-turns-1" and 0 <= found.metrics["val/top1"] <= 1


def test_a_model_without_recursion_is_refused_before_the_first_step(tiny_run):
    with pytest.raises(ConfigError, match=r"recipe\.mixed_depth: no layer is applied more than once"):
        tiny_run(recipe={"mixed_depth": "one_turn"})
