"""A run that learns more than labels goes on bit for bit after it was stopped."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from vitreous.errors import StoppedError
from vitreous.training.step import TrainStep


def delivered(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


@pytest.fixture
def stopped_and_continued(tiny_run, monkeypatch, tmp_path):
    """Train with some arguments straight and in two parts; returns both run folders."""

    def both(**changes: Any) -> tuple[Path, Path]:
        whole = tiny_run(out=str(tmp_path / "whole"), **changes)
        original = TrainStep.backward

        def backward(self, shown, step):
            if step == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(self, shown, step)

        with monkeypatch.context() as patched:
            patched.setattr(TrainStep, "backward", backward)
            with pytest.raises(StoppedError):
                tiny_run(**changes)
        return whole.run_dir, tiny_run(**changes).run_dir

    return both


@pytest.mark.parametrize(
    "recipe",
    [{"repeats": 3}, {"balance": "sampler"}, {"balance": "weights"}],
    ids=["repeats", "sampler", "weights"],
)
def test_a_continued_run_ends_with_the_same_bits(stopped_and_continued, recipe):
    whole, parts = stopped_and_continued(epochs=1, recipe=recipe)
    assert delivered(whole) == delivered(parts)
