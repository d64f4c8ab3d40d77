"""A run that takes a second: a two-layer EIT of width 16 on 96 handwritten digits."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vitreous.errors import StoppedError
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.training.settings import TrainSettings
from vitreous.training.step import TrainStep
from vitreous.training.train import TrainResult, train

Arguments = dict[str, Any]


@pytest.fixture(autouse=True)
def one_thread(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Small sums are fastest on one thread; caches and runs go to a temporary folder."""
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path_factory.getbasetemp() / "vitreous-home"))
    monkeypatch.setenv("VITREOUS_RUNS", str(tmp_path_factory.mktemp("runs")))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_config() -> VisionTransformer:
    return config("eit_digits", image_size=8, classes=10, channels=1, width=16, depth=2, heads=2)


@pytest.fixture
def tiny(tiny_config: VisionTransformer, tmp_path: Path) -> Arguments:
    """Arguments of a tiny run into `tmp_path/run`: 6 steps an epoch, 2 epochs."""
    return {
        "data": "digits",
        "model": json.dumps(to_json(tiny_config)),
        "out": str(tmp_path / "run"),
        "epochs": 2,
        "batch_size": 16,
        "lr": 5e-3,
        "precision": "float32",
        "device": "cpu",
        "compile": False,
        "recipe": {"dropout": 0.1},
        "loading": {"limit": 96},
    }


@pytest.fixture
def tiny_run(tiny: Arguments) -> Callable[..., TrainResult]:
    """Train a tiny run with some arguments changed."""

    def run(**changes: Any) -> TrainResult:
        return train(**tiny | changes)

    return run


@pytest.fixture
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves are half of the time of a tiny run."""
    monkeypatch.setattr("vitreous.training.curves.draw_curves", lambda *_: None)


@pytest.fixture
def stopped_at(tiny_run: Callable[..., TrainResult], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Train a tiny run with some arguments changed and stop it, as SIGTERM does, at a step."""

    def run(stop: int, **changes: Any) -> None:
        original = TrainStep.backward

        def backward(self: TrainStep, shown: Any, step: int) -> Any:
            if step == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(self, shown, step)

        with monkeypatch.context() as patched:
            patched.setattr(TrainStep, "backward", backward)
            with pytest.raises(StoppedError):
                tiny_run(**changes)

    return run


@pytest.fixture
def tiny_settings(tmp_path: Path) -> TrainSettings:
    return TrainSettings(data=["digits"], out=str(tmp_path / "run"))
