"""Curvature along a run: a value for each checkpoint that was kept, and a sentence where there is no path."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest

from vitreous.errors import ConfigError
from vitreous.insight.analyze import analyze
from vitreous.insight.listed import chosen
from vitreous.models import config
from vitreous.models.as_json import to_json
from vitreous.training.checkpoint import list_checkpoints
from vitreous.training.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps on digits, with every checkpoint."""
    place = tmp_path_factory.mktemp("runs")
    os.environ["VITREOUS_HOME"] = str(place / "home")
    model = config("deit_tiny", image_size=8, classes=10, channels=1, width=8, depth=1, heads=2, patch=4)
    out = place / "run"
    train(
        data="digits", model=json.dumps(to_json(model)), out=str(out), epochs=1, batch_size=32, lr=5e-3,
        precision="float32", device="cpu", compile=False, loading={"limit": 96},
        saving={"keep": 20, "every_s": 0.0},
    )  # fmt: skip
    return out


def test_each_kept_checkpoint_has_its_value_and_the_cost_is_said_first(run: Path, caplog) -> None:
    kept = len(list_checkpoints(run / "checkpoints"))
    damaged = list_checkpoints(run / "checkpoints")[1]
    (damaged / "state.json").write_text("{}")
    with caplog.at_level(logging.INFO, logger="vitreous"):
        (looked,) = analyze(run, only=["curvature"], device="cpu", budget_s=600).models
    values, control = looked.found["curvature"], looked.control["curvature"]
    assert len(values["steps"]) == len(values["eigenvalue"]) == values["kept"] == kept - 1 >= 2
    assert values["steps"] == sorted(values["steps"])
    assert all(each > 0 for each in (*values["eigenvalue"], values["model"]))
    assert control["steps"] == [] and control["model"] > 0
    assert f"at each of {kept} points: about" in caplog.text
    assert f"along {kept - 1} of {kept - 1} kept checkpoints" in looked.shows["curvature"]
    (chart,) = looked.charts["curvature"]
    assert chart.lines[0].y == tuple(values["eigenvalue"])


def test_a_model_without_its_run_has_a_value_and_no_path(run: Path, tmp_path: Path) -> None:
    (looked,) = analyze(run / "model", data="digits", only=["curvature"], device="cpu", images=64).models
    assert looked.found["curvature"]["steps"] and looked.found["curvature"]["images"] == 64
    (bare,) = analyze(
        _copied(run / "model", tmp_path), data="digits", only=["curvature"], device="cpu", images=64
    ).models
    assert bare.found["curvature"]["model"] == looked.found["curvature"]["model"]
    assert "no run with checkpoints stands behind it" in bare.shows["curvature"]


def _copied(model: Path, place: Path) -> Path:
    return Path(shutil.copytree(model, place / "alone"))


def test_a_budget_that_is_too_small_is_told_and_by_default_it_does_not_run(run: Path) -> None:
    (looked,) = analyze(run, only=["curvature"], device="cpu", budget_s=1e-6, control=False).models
    assert looked.found["curvature"] == {} and "one point would take about" in looked.shows["curvature"]
    assert "curvature" not in [each.name for each in chosen(None)]
    with pytest.raises(ConfigError, match="did you mean curvature"):
        chosen(["curvatur"])
