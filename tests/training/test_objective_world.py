"""Two processes learn from a teacher and a guide what one learns."""

import pytest

from tests.training.test_distillation import model_folder
from tests.training.test_guidance import GUIDED, THREE
from tests.training.together import together
from tests.training.together_tasks import run

pytestmark = pytest.mark.usefixtures("without_curves")


def test_two_processes_take_the_steps_of_one(tmp_path, tiny):
    arguments = tiny | {
        "epochs": 1,
        "model": THREE,
        "recipe": {"repeats": 2, "drop_path": 0.0, "mixup": 0.2, "cutmix": 1.0},
        "guidance": GUIDED,
        "distilling": {"teacher": str(model_folder(tmp_path / "teacher")), "alpha": 0.5, "cache": True},
    }
    alone = run(**arguments | {"out": str(tmp_path / "alone")})
    [both] = together(2, tmp_path / "two", ("run", arguments | {"out": str(tmp_path / "both")}))
    for each in both:
        own = each["losses"][-6:]  # the first process has those of the guide before them
        assert len(own) == 6
        assert all(abs(a - b) < 1e-4 for a, b in zip(own, alone["losses"][-6:], strict=True))
