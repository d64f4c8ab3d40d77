"""A run that learns more than labels goes on bit for bit after it was stopped."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.test_distillation import model_folder
from tests.training.test_mixed_depth import THREE

pytestmark = pytest.mark.usefixtures("without_curves")


def delivered(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"repeats": 3}},
        {"recipe": {"balance": "sampler"}},
        {"recipe": {"balance": "weights"}},
        {"distilling": {"temperature": 2.0}},
        {"distilling": {"kind": "hard", "cache": True}},
        {"model": THREE, "recipe": {"mixed_depth": "drawn"}},
    ],
    ids=["repeats", "sampler", "weights", "soft", "hard and cached", "mixed depth"],
)
def test_a_continued_run_ends_with_the_same_bits(tiny_run, stopped_at, tmp_path, changes: dict[str, Any]):
    if "distilling" in changes:
        teacher = str(model_folder(tmp_path / "teacher"))
        changes = {"distilling": changes["distilling"] | {"teacher": teacher}}
    whole = tiny_run(out=str(tmp_path / "whole"), epochs=1, **changes)
    stopped_at(4, epochs=1, **changes)
    assert delivered(whole.run_dir) == delivered(tiny_run(epochs=1, **changes).run_dir)
