"""A dry run of a run that learns from a teacher, follows a guide, or trains two depths measures its steps."""

from tests.training.test_distillation import model_folder
from tests.training.test_guidance import GUIDED, THREE
from tests.training.test_mixed_depth import THREE as RECURSIVE
from vitreous.runs.dry_run import plan_run


def test_what_stands_around_the_model_is_measured_with_it(tiny, tmp_path):
    teacher = str(model_folder(tmp_path / "teacher"))
    guided = plan_run(**tiny | {"model": THREE, "guidance": GUIDED, "distilling": {"teacher": teacher}})
    assert guided.not_counted == "the training of the guide, which comes first" and guided.eta_s > 0
    assert not (tmp_path / "run").exists()
    mixed = plan_run(**tiny | {"model": RECURSIVE, "recipe": {"mixed_depth": "one_turn"}})
    assert mixed.eta_s > 0


def test_the_batch_of_a_dry_run_is_that_of_as_many_processes(tiny, tmp_path):
    planned = plan_run(**tiny | {"batch_size": "auto", "devices": 3})
    assert planned.plan.batch_size % 3 == 0
    assert planned.not_counted == "that 3 processes share each step, which one took here"
