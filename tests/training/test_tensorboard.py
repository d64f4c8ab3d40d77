"""`log tensorboard`: the event file holds what `metrics.jsonl` holds, each step once, whatever happened."""

import importlib.util
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.interop.model_folder import load
from vitreous.runs.seeds import train_seeds
from vitreous.training.check_settings import check_settings
from vitreous.training.metrics_log import MetricsLog, read_events
from vitreous.training.settings import TrainSettings
from vitreous.training.train import TrainResult

Run = Callable[..., TrainResult]
Scalars = Counter[tuple[str, int, float]]
pytestmark = pytest.mark.filterwarnings("ignore")  # of TensorBoard's own


def scalars(run: Path) -> Scalars:
    """Every scalar in the event files of a run, as (name, step, value) with how often it is there."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found: Scalars = Counter()
    for file in (run / "tensorboard").iterdir():
        for event in LegacyEventFileLoader(str(file)).Load():
            found.update((each.tag, event.step, each.simple_value) for each in event.summary.value)
    return found


def logged(run: Path) -> Scalars:
    """The same of `metrics.jsonl`, as the 32-bit numbers that TensorBoard keeps."""
    return Counter(
        (name, event["step"], float(torch.tensor(value, dtype=torch.float32)))
        for event in read_events(run / "metrics.jsonl")
        for name, value in event.items()
        if "/" in name
    )


def test_the_event_file_holds_every_metric_once_and_the_run_ends_with_the_same_bits(
    tiny_run: Run, tmp_path: Path, without_curves: None
) -> None:
    pytest.importorskip("tensorboard")
    plain = tiny_run(out=str(tmp_path / "plain"))
    written = tiny_run(log="tensorboard", probes="hfd")
    found = scalars(written.run_dir)
    assert found == logged(written.run_dir) and set(found.values()) == {1}
    names = {name for name, _, _ in found}
    assert {"train/loss", "val/top1", "val_ema/top1", "perf/img_s", "probe/hfd/L00"} <= names
    first, second = (load(each.run_dir).model.state_dict() for each in (plain, written))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (plain.run_dir / "tensorboard").exists()


def test_a_run_that_was_stopped_and_goes_on_has_no_step_twice_and_loses_none(
    tiny_run: Run, stopped_at: Callable[..., None], tmp_path: Path, without_curves: None
) -> None:
    from_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    whole = tiny_run(out=str(tmp_path / "whole"))
    stopped_at(3)  # begun without: what was logged until then comes into the copy, too
    stopped_at(8, log="tensorboard")
    run = tmp_path / "run"
    with (run / "metrics.jsonl").open(
        "ab"
    ) as file:  # a step that the checkpoint does not know: killed after it
        file.write(json.dumps({"step": 9, "time": "2026-01-01T00:00:00+00:00", "train/loss": 9.0}).encode())
        file.write(b"\n")
    MetricsLog(run, size=(run / "metrics.jsonl").stat().st_size, tensorboard=True).close()
    assert ("train/loss", 9, 9.0) in scalars(run)
    tiny_run(log="tensorboard")
    found = scalars(run)
    assert found == logged(run) and set(found.values()) == {1}
    losses = {(name, step): value for name, step, value in found if name.endswith("loss")}
    assert losses == {(n, s): value for n, s, value in logged(whole.run_dir) if n.endswith("loss")}
    shown = from_accumulator.EventAccumulator(str(run / "tensorboard"))  # as the program reads it
    shown.Reload()
    assert [each.step for each in shown.Scalars("val/loss")] == [6, 12]


def test_a_finished_run_gets_its_copy_when_it_is_asked_for(
    tiny_run: Run, tmp_path: Path, without_curves: None
) -> None:
    run = tiny_run(epochs=1).run_dir
    assert tiny_run(epochs=1, log="tensorboard").run_dir == run
    assert scalars(run) == logged(run)


def test_each_run_of_a_set_has_its_own(tiny: dict[str, Any], tmp_path: Path, without_curves: None) -> None:
    pytest.importorskip("tensorboard")
    made = train_seeds("0..1", **tiny | {"epochs": 1, "out": str(tmp_path / "set"), "log": "tensorboard"})
    first, second = (each.run_dir for each in made.runs.values())
    assert scalars(first) == logged(first) and scalars(second) == logged(second)
    assert scalars(first) != scalars(second)


def test_what_is_no_log_and_a_missing_tensorboard_are_told_before_anything_is_opened(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"log is tensorbord; .*did you mean tensorboard\?"):
        check_settings(TrainSettings(data=["digits"], log="tensorbord"))  # type: ignore[arg-type]
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else find(name, *rest)
    )
    with pytest.raises(ConfigError, match=r"pip install 'vitreous\[tensorboard\]'"):
        tiny_run(log="tensorboard")
    assert not (tmp_path / "run").exists()
