"""The runs of a folder, newest first; the runs of a set below it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError
from vitreous.runs.record import RunRecord, is_run, read_run
from vitreous.runs.seeds import SET, Spread, is_set, spread
from vitreous.training.run_folder import runs_folder

DEPTH = 3  # folders inside each other that are looked into


@dataclass(frozen=True, kw_only=True)
class ListedSet:
    """A set of seeds: its folder, its state, its runs, and their best over seeds (None before the first)."""

    path: Path
    condition: str
    runs: tuple[RunRecord, ...]
    best: Spread | None


Listed = RunRecord | ListedSet


def list_runs(folder: str | Path | None = None) -> list[Listed]:
    """Runs and sets inside a folder, the newest first.

    Args:
        folder: by default where runs go that are given no `out`. A run or a set itself may be given.

    Raises:
        ConfigError: no such folder.
    """
    place = runs_folder() if folder is None else Path(folder)
    if not place.is_dir():
        raise ConfigError(f"{place} is not a folder; give the folder that holds the runs")
    return sorted(_found(place, DEPTH), key=_start, reverse=True)


def to_json(listed: Listed) -> dict[str, Any]:
    """Plain values of one line of the list."""
    if isinstance(listed, ListedSet):
        best = None if listed.best is None else vars(listed.best)
        return {
            "path": str(listed.path), "state": listed.condition, "seeds": len(listed.runs), "best": best,
            "runs": [to_json(each) for each in listed.runs],
        }  # fmt: skip
    return {
        "path": str(listed.path),
        "state": listed.condition,
        "model": listed.model,
        "data": listed.source,
        "seed": listed.settings.get("seed"),
        "best": listed.best,
        "epochs_done": listed.epochs_done,
        "epochs": listed.settings.get("epochs"),
        "wall_s": listed.wall_s,
        "start": listed.state.get("start"),
    }


def _found(place: Path, depth: int) -> Iterator[Listed]:
    if is_set(place):
        yield _read_set(place)
    elif is_run(place):
        yield read_run(place)
    elif depth:
        for each in sorted(place.iterdir()):
            if each.is_dir() and not each.name.startswith("."):
                yield from _found(each, depth - 1)


def _read_set(place: Path) -> ListedSet:
    told = json.loads((place / SET).read_text(encoding="utf-8"))
    runs = sorted(place.glob("seed-*"), key=lambda each: (len(each.name), each.name))
    records = tuple(read_run(each) for each in runs if is_run(each))
    best = [each.best for each in records if each.best is not None]
    running = any(each.condition == "running" for each in records)
    return ListedSet(
        path=place,
        condition="running" if running else told["state"],
        runs=records,
        best=spread(best) if best else None,
    )


def _start(listed: Listed) -> str:
    if isinstance(listed, RunRecord):
        return str(listed.state.get("start") or "")
    return max((_start(each) for each in listed.runs), default="")
