"""Retraining from scratch, which is what a search is judged by: ordinary runs of `vitreous train`.

All of a search are trained alike: one recipe, all training images, the validation images of the search's own
`split.csv`, which no candidate was chosen by.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from vitreous.models.as_json import to_json
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.searching.ledger import Candidate, spelled
from vitreous.searching.task import Task
from vitreous.training.settings import TrainSettings
from vitreous.training.train import train_run

LEAST_S = 1.0  # of a run, where the time is used up


@dataclass(frozen=True)
class Retrained:
    """A network that was trained from scratch.

    Args:
        what: `winner 1`, `random search`, `preset`, `correlation 3`.
        candidate: of the ledger; None for the preset where it is not in the space.
        top1: on validation images, 0 to 1.
        macs, params: exact.
        run: its run folder.
    """

    what: str
    candidate: Candidate | None
    top1: float
    macs: int
    params: int
    run: Path


def retrain(
    task: Task,
    config: VisionTransformer,
    what: str,
    *,
    candidate: Candidate | None,
    epochs: int | str,
    seconds: float | None,
) -> Retrained:
    """Train a model from scratch, or go on where it stopped; raises what `train` raises.

    Args:
        task: of the search.
        config: of the model.
        what: what it is, also the name of its run folder.
        candidate: of the ledger.
        epochs, seconds: how long; seconds win.
    """
    settings, folder = task.settings, task.folder.path
    name = f"{config.name} {spelled(candidate.genome)}" if candidate else config.name
    result = train_run(
        TrainSettings(
            data=settings.data,
            model=json.dumps(to_json(replace(config, name=name))),
            out=str(folder / "retrained" / what.replace(" ", "-")),
            epochs="auto" if seconds else epochs,  # type: ignore[arg-type]
            time=None if seconds is None else f"{seconds}s",
            batch_size=settings.batch_size,
            seed=settings.seed,
            device=task.device,
            precision=task.plan.precision,  # type: ignore[arg-type]
            recipe=settings.recipe,
            loading=replace(settings.loading, split_file=str(folder / "split.csv")),
        )
    )
    metrics = result.metrics
    return Retrained(
        what,
        candidate,
        metrics["val/top1"],
        int(metrics["model/macs"]),
        int(metrics["model/params"]),
        result.run_dir,
    )


def seconds_each(task: Task, name: str, networks: int, *, share: float = 1.0) -> float | None:
    """The time of each of some networks, decided once; None where passes say how long.

    Args:
        task: of the search.
        name: under which it is kept in `plan.json`.
        networks: that share it.
        share: of what is left then.
    """
    if task.clock.given_s is None:
        return None
    kept = task.folder.plan.get(name)
    if kept is not None:
        return float(kept)
    each_s = max(LEAST_S, round(share * task.clock.left_s / networks, 1))
    task.folder.decide(**{name: each_s})
    task.clock.plan(networks * each_s)
    return each_s
