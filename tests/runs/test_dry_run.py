"""A dry run tells what a run would do and cost, and leaves everything as it was."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitreous import cost
from vitreous.cli.main import main
from vitreous.errors import StoppedError
from vitreous.runs.dry_run import plan_run
from vitreous.runs.dry_run_pictures import BARS, sparkline
from vitreous.training.step import TrainStep


@pytest.fixture
def stopped_at_step_4(tiny_run, tmp_path, monkeypatch):
    """A run folder whose run was stopped after four steps."""
    original = TrainStep.backward

    def backward(self, shown, step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, shown, step)

    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(TrainStep, "backward", backward)
        tiny_run()
    return tmp_path / "run"


def test_it_tells_size_time_memory_disk_and_schedule_and_leaves_no_run(tiny, tiny_config, tmp_path):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    planned = plan_run(**tiny)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run-dry-run"], "no run folder"
    counted = cost(tiny_config)
    assert (planned.cost.parameters, planned.cost.macs) == (counted.parameters, counted.macs)
    assert (planned.prospect.kind, planned.steps_left) == ("start", 12)
    assert len(planned.step_s) == 5 and planned.eta_s > 12 * min(planned.step_s) + planned.validation_s
    weights = 4 * counted.parameters
    assert (planned.memory.weights, planned.memory.gradients) == (weights, weights)
    moved_by_muon = 25_000  # bytes, more than this model has
    assert weights <= planned.memory.optimizer < weights + moved_by_muon, "one moment of Muon, two of AdamW"
    assert planned.memory.average - weights < 100 and planned.memory.activations > 0
    assert planned.disk.checkpoints == 3 * planned.disk.checkpoint, "two are kept and one is being written"
    assert planned.rates[-1][1] < planned.rates[0][1] == pytest.approx(5e-3)
    for path in planned.pictures.values():
        assert path.parent == tmp_path / "run-dry-run" and path.read_bytes().startswith(b"\x89PNG")
    told = json.loads(json.dumps(planned.to_json()))
    assert [each["tokens"] for each in told["layers"]][-2:] == [17, 1]
    assert told["would"]["sentence"] == f"start in {tmp_path / 'run'}"


def test_activations_grow_with_the_batch_and_weights_do_not(tiny):
    small, large = (plan_run(**tiny | {"batch_size": size}) for size in (16, 48))
    assert small.memory.weights == large.memory.weights
    assert large.memory.activations / small.memory.activations == pytest.approx(3, rel=0.05)


def test_a_run_after_a_dry_run_is_the_run_without_it(tiny, tiny_run, tmp_path):
    alone = tiny_run(out=str(tmp_path / "alone"))
    plan_run(**tiny)
    after = tiny_run()
    files = [each.model_dir / "model.safetensors" for each in (alone, after)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_it_says_from_which_step_a_run_would_go_on_and_touches_nothing(tiny, stopped_at_step_4):
    before = {each: each.stat().st_mtime_ns for each in stopped_at_step_4.rglob("*")}
    planned = plan_run(**tiny)
    assert (planned.prospect.kind, planned.steps_left) == ("continue", 8)
    assert planned.prospect.sentence == f"continue {stopped_at_step_4} from step 4 of 12"
    assert {each: each.stat().st_mtime_ns for each in stopped_at_step_4.rglob("*")} == before


def test_a_folder_that_would_be_refused_is_told_and_the_rest_too(tiny, stopped_at_step_4):
    planned = plan_run(**tiny | {"lr": 0.1})
    assert planned.prospect.kind == "refuse" and "lr: 0.005 → 0.1" in planned.prospect.sentence
    assert planned.steps_left == 12 and planned.prospect.error.exit_code == 2


def test_a_time_becomes_a_number_of_steps(tiny):
    planned = plan_run(**tiny | {"epochs": "auto", "time": "20s"})
    assert planned.plan.total_steps > 0 and planned.eta_s < 25


def test_the_command_prints_the_plan_and_where_the_pictures_are(
    tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "tiny.json").write_text(tiny["model"])
    words = ["train", "--data", "digits", "--model", str(tmp_path / "tiny.json"), "--loading.limit", "96"]
    assert main([*words, "--epochs", "2", "--device", "cpu", "--no-compile", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "activations of a batch" in out and "would            start in" in out
    assert (pictures := out.split("pictures")[1].split()[0]).endswith("first_batch.png")
    assert Path(pictures).exists()


@given(st.lists(st.floats(0, 10), min_size=2, max_size=100))
def test_a_sparkline_is_full_where_the_values_are_largest(values):
    line = sparkline(values, width=len(values))
    if max(values) > 0:
        assert len(line) == len(values) and line[values.index(max(values))] == BARS[-1]
