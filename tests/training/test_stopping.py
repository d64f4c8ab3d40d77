"""Which validation is the best, and when training ends before its schedule."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitreous.errors import ConfigError, StoppedError
from vitreous.interop.model_folder import load
from vitreous.training.loop import Loop
from vitreous.training.metrics_log import read_events
from vitreous.training.settings import Stopping
from vitreous.training.stopping import Judge, check_stopping
from vitreous.training.train import TrainResult

Run = Callable[..., TrainResult]


def waits(values: list[float], **how: Any) -> list[int]:
    """How long the judge has waited after each validation."""
    judge = Judge(Stopping(**{"patience": 3} | how))
    found = []
    for value in values:
        judge.count([{"top1": value, "loss": -value}])
        found.append(judge.waited)
    return found


def test_validations_without_an_improvement_are_counted_from_the_last_one() -> None:
    assert waits([0.1, 0.3, 0.2, 0.3, 0.4, 0.4]) == [0, 0, 1, 2, 0, 1]


def test_a_smaller_improvement_than_the_least_does_not_count_until_it_adds_up() -> None:
    assert waits([0.10, 0.14, 0.18, 0.22], least=0.05) == [0, 1, 0, 1]


def test_a_loss_gets_better_by_falling() -> None:
    assert waits([0.1, 0.3, 0.2], metric="val/loss") == waits([0.1, 0.3, 0.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 12), st.integers(1, 4))
def test_a_judge_that_is_stored_in_between_decides_the_same(
    values: list[float], cut: int, patience: int
) -> None:
    straight, before = Judge(Stopping(patience=patience)), Judge(Stopping(patience=patience))
    for number, value in enumerate(values):
        if number == cut:
            stored = json.loads(json.dumps(before.state()))
            before = Judge(Stopping(patience=patience))
            before.restore(stored)
        for judge in (straight, before):
            judge.count([{"top1": value, "loss": 1.0}])
        assert straight.ended == before.ended


def test_of_equal_accuracies_the_lower_loss_is_better_and_of_equal_losses_the_earlier() -> None:
    judge = Judge(Stopping())
    best = {"top1": 0.5, "loss": 1.0}
    assert judge.better(best, None)
    assert judge.better({"top1": 0.5, "loss": 0.9}, best)
    assert not judge.better({"top1": 0.5, "loss": 1.0}, best)
    by_loss = Judge(Stopping(metric="val/loss"))
    assert by_loss.better({"top1": 0.1, "loss": 0.9}, best)


@pytest.mark.parametrize(
    ("stopping", "message"),
    [
        (Stopping(metric="val/top2"), "stopping.metric val/top2 is unknown; did you mean val/top"),
        (
            Stopping(metric="x"),
            "metric x is unknown; auto, val/top1, val/top5, val/f1_macro, val/loss",
        ),
        (Stopping(patience=0), "stopping.patience 0: 1 or more validations work"),
        (Stopping(least=-0.1), "stopping.least -0.1 is negative; 0 or more work"),
    ],
)
def test_what_cannot_be_is_refused(stopping: Stopping, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_stopping(stopping)


STOP = {"stopping": {"patience": 2, "least": 2.0}, "epochs": 6}  # nothing gets better by 2


def validations(run: Path) -> list[dict[str, Any]]:
    return [event for event in read_events(run / "metrics.jsonl") if "val/top1" in event]


def test_a_run_ends_early_and_says_why_and_where_its_learning_rate_was(tiny_run: Run) -> None:
    done = tiny_run(**STOP)
    assert [event["epoch"] for event in validations(done.run_dir)] == [1, 2, 3]
    state = json.loads((done.run_dir / "run.json").read_text())
    assert state["state"] == "finished"
    assert state["ended"] == "early: val/top1 did not get better by more than 2 in 2 validations"
    text = (done.run_dir / "train.log").read_text()
    assert "stopped early at epoch 3 of 6" in text and "% of its peak" in text
    assert "stopped at 3, best on val/top1" in (done.model_dir / "README.md").read_text()


def test_a_run_with_patience_that_is_never_used_up_is_the_run_without(tiny_run: Run, tmp_path: Path) -> None:
    plain = tiny_run(out=str(tmp_path / "plain"))
    patient = tiny_run(out=str(tmp_path / "patient"), stopping={"patience": 9})
    for one, other in zip(load(plain.run_dir).parameters(), load(patient.run_dir).parameters(), strict=True):
        assert torch.equal(one, other)
    ended = json.loads((patient.run_dir / "run.json").read_text())["ended"]
    assert ended == "the schedule was trained to its end"


@pytest.mark.parametrize("at", [2, 3])
def test_a_run_that_was_cut_ends_at_the_same_step_with_the_same_bits(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    straight = tiny_run(out=str(tmp_path / "straight"), **STOP)
    validate = Loop._validate

    def cut(loop: Loop, line: Any) -> None:
        validate(loop, line)
        if loop.step == 6 * at:
            loop._save(must=True)
            raise StoppedError("cut", 75)

    monkeypatch.setattr(Loop, "_validate", cut)
    with pytest.raises(StoppedError):
        tiny_run(**STOP)
    monkeypatch.undo()
    done = tiny_run(**STOP)
    assert [event["epoch"] for event in validations(done.run_dir)] == [1, 2, 3]
    ended = json.loads((done.run_dir / "run.json").read_text())["ended"]
    assert ended.startswith("early: val/top1 did not get better")
    for one, other in zip(load(straight.run_dir).parameters(), load(done.run_dir).parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_delivered_model_is_the_best_by_the_metric_that_was_asked_for(tiny_run: Run) -> None:
    done = tiny_run(stopping={"metric": "val/loss"}, epochs=3)
    losses = [event[key] for event in validations(done.run_dir) for key in ("val/loss", "val_ema/loss")]
    best = json.loads((done.run_dir / "run.json").read_text())["best"]
    assert best["loss"] == min(losses)
