"""A known curve from runs of ours: mean over seeds at every validation, band of 2 standard deviations.

At a share s of training the value is the mean over runs of the metric there (a straight line between two
validations of a run), low and high are mean ∓ max(2 · sd, half a point). Two standard deviations
hold about 19 of 20 runs where many are known; of three the deviation itself is uncertain by half: see n.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vitreous.errors import ConfigError
from vitreous.runs.record import RunRecord, read_run
from vitreous.runs.seeds import is_set, runs_of_set
from vitreous.training.checkpoint import list_checkpoints
from vitreous.training.on_track import Curve, conditions_of
from vitreous.training.plan import Plan

LEAST = 0.005  # half a point


def reference_curve(runs: Sequence[str | Path], *, name: str, metric: str = "val/top1") -> Curve:
    """The curve of finished runs that differ in their seed alone.

    Args:
        runs: run folders, or sets of seeds.
        name: of the curve.
        metric: of `metrics.csv`.

    Raises:
        ConfigError: fewer than two runs, an unfinished one, or runs of different conditions.
    """
    places = [Path(each) for each in runs]
    members = [
        member for each in places for member in (runs_of_set(each).values() if is_set(each) else (each,))
    ]
    records = [read_run(each) for each in members]
    if len(records) < 2:
        raise ConfigError(f"a curve needs at least two seeds, and {len(records)} run was given")
    for record in records:
        if record.condition != "finished":
            raise ConfigError(f"{record.path} is {record.condition}; a curve is made of finished runs")
    conditions = [_conditions(each) for each in records]
    for record, found in zip(records, conditions, strict=True):
        unlike = [key for key, value in found.items() if key != "data" and value != conditions[0][key]]
        if unlike:
            raise ConfigError(f"{record.path} differs from {records[0].path} in {', '.join(unlike)}")
    same_data = len({each["data"] for each in conditions}) == 1  # a --loading.limit draws by the seed
    shared = {key: value for key, value in conditions[0].items() if key != "data" or same_data}
    epochs = [row["epoch"] for row in records[0].rows if metric in row]
    if not epochs:
        known = sorted({name for row in records[0].rows for name in row if name.startswith("val")})
        raise ConfigError(f"{records[0].path} has no {metric}; {', '.join(known)} are there")
    values = np.array([_along(record, metric, epochs) for record in records])
    mean, width = values.mean(axis=0), np.maximum(2 * values.std(axis=0, ddof=1), LEAST)
    points = zip(epochs, mean, (mean - width).clip(0), (mean + width).clip(max=1), strict=True)
    return Curve(
        name=name,
        source=f"{len(records)} runs of ours",
        band=f"ours: mean ± 2 standard deviations over {len(records)} seeds, at least half a point",
        metric=metric,
        conditions=shared,
        points=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in points),
    )


def _conditions(record: RunRecord) -> dict[str, object]:
    newest = list_checkpoints(record.path / "checkpoints")
    if not newest:
        raise ConfigError(f"{record.path} has no checkpoint, so its plan is not known")
    state = json.loads((newest[0] / "state.json").read_text(encoding="utf-8"))
    return conditions_of(Plan.from_json(state["plan"]))


def _along(record: RunRecord, metric: str, epochs: Sequence[float]) -> np.ndarray:
    rows = [row for row in record.rows if metric in row]
    return np.interp(epochs, [row["epoch"] for row in rows], [row[metric] for row in rows])
