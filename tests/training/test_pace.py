"""A run with a `--time` on a machine that gets slower leaves steps out and still ends its schedule."""

import itertools
import json
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.errors import StoppedError
from vitreous.runs.dry_run import plan_run
from vitreous.training.loop import Loop
from vitreous.training.pace import MARGIN, Pace
from vitreous.training.step import TrainStep
from vitreous.training.time_budget import FINISH_S

COSTS = {"step_s": 0.1, "validation_s": 1.0, "eval_steps": 250}


@given(st.integers(1, 500), st.data())
def test_as_many_steps_as_said_are_taken_evenly_and_the_last_is_one(total: int, data: st.DataObject) -> None:
    since = data.draw(st.integers(0, total - 1))
    pace = Pace(60, total, since, data.draw(st.integers(1, total - since)))
    taken = [step for step in range(since, total) if pace.takes(step)]
    assert len(taken) == pace.take and taken[-1] == total - 1
    gaps = {after - before for before, after in itertools.pairwise(taken)}
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert [pace.left(step) for step in range(since, total)] == [
        sum(each >= step for each in taken) for step in range(since, total)
    ]


def test_every_step_is_taken_while_there_is_time() -> None:
    pace = Pace(100 + 2 + FINISH_S + 4, 1000)
    assert not pace.adjust(0, spent_s=0, **COSTS)
    assert all(pace.takes(step) for step in range(1000))


def test_what_fits_into_the_time_left_is_taken() -> None:
    pace = Pace(100, 1000)
    assert pace.adjust(500, spent_s=60, **COSTS)
    # two validations until the end, the last one and that of the best weights
    assert pace.left(500) == round((40 - 4 - FINISH_S) / 0.1)
    assert not pace.adjust(600, spent_s=60 + 0.1 * (pace.left(500) - pace.left(600)), **COSTS)


def test_a_machine_that_is_fast_again_takes_all_steps_and_one_without_time_one() -> None:
    pace = Pace(100, 1000, since=200, take=400)
    assert pace.adjust(600, spent_s=10, **COSTS)
    assert pace.left(600) == 400
    assert pace.adjust(700, spent_s=200, **COSTS)
    assert pace.left(700) == 1 and pace.takes(999)


def test_small_differences_change_nothing() -> None:
    pace = Pace(100, 1000, since=0, take=900)
    fits = 0.1 * 900 + 6 + FINISH_S
    for off in (-0.9, 0.9):
        spent_s = 100 - fits + off * MARGIN * 1000 * 0.1
        assert not pace.adjust(0, spent_s=spent_s, **COSTS)


class Seen(Exception):
    """Enough was seen of a run."""


@pytest.fixture
def slow_machine(monkeypatch):
    """Steps that take longer once a run has begun than they took when they were measured."""
    run, update = Loop.run, TrainStep.update
    slow = {"on": False}

    def begin(self: Loop, **arguments: int) -> None:
        slow["on"] = True
        run(self, **arguments)

    def wait(self: TrainStep) -> None:
        update(self)
        if slow["on"]:
            time.sleep(0.03)

    monkeypatch.setattr(Loop, "run", begin)
    monkeypatch.setattr(TrainStep, "update", wait)


def test_a_run_on_a_machine_that_gets_slower_ends_its_schedule_within_its_time(tiny_run, slow_machine):
    begun = time.perf_counter()
    run = tiny_run(epochs="auto", time="8s", recipe={"ema": False}, eval_every=20).run_dir
    assert time.perf_counter() - begun < 14  # four times as long with all steps
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    state = json.loads((run / "run.json").read_text())
    last = events[-1]
    assert last["samples"] < 0.8 * last["step"] * 16
    left_out = last["step"] - last["samples"] // 16
    assert state["ended"] == (
        f"the schedule was trained to its end, {left_out:,} of {last['step']:,} steps left out for time"
    )
    card = (run / "model" / "README.md").read_text()
    assert f"{left_out:,} of {last['step']:,} steps left out for time" in card
    rates = [each["optim/lr"] for each in events if "optim/lr" in each]
    assert rates[-1] < 0.05 * max(rates)


def test_a_run_that_goes_on_keeps_the_pace_and_the_count_of_what_was_taken(tiny, tiny_run, slow_machine):
    kept: dict[str, int] = {}
    changes = {"epochs": "auto", "time": "8s", "eval_every": 20}
    keep_pace = Loop._keep_pace

    def stopping(self: Loop, line) -> None:
        keep_pace(self, line)
        if self.pace.take < self.pace.total_steps and not kept:
            kept.update(since=self.pace.since, take=self.pace.take, taken=self.taken, step=self.step)
            self.interruption.requested = signal.SIGTERM

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_keep_pace", stopping)
        with pytest.raises(StoppedError):
            tiny_run(**changes)
    assert plan_run(**tiny | changes).steps_left == kept["take"]  # a dry run counts what will be taken
    found: dict[str, int] = {}

    def noting(self: Loop, **arguments: int) -> None:
        found.update(since=self.pace.since, take=self.pace.take, taken=self.taken, step=self.step)
        raise Seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "run", noting)
        with pytest.raises(Seen):
            tiny_run(**changes)
    assert found == kept
