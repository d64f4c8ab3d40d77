"""A run folder read again: what was asked, what came of it, on which data, code and machine."""

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vitreous.errors import ConfigError
from vitreous.interop.model_card import flatten
from vitreous.training.run_folder import INPUT, STATE, in_use, read_state

HEADLINES = ("val/top1", "val_ema/top1", "val/map", "val_ema/map")
"""Metrics of which the best is shown in a list, in the order in which they are looked for."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run folder says.

    Args:
        path: the folder.
        state: `run.json`.
        settings: with every `auto` resolved where it was, by dotted name.
        rows: `metrics.csv`, one row a validation.
        data: `data.json`, by dotted name, with the hash of the cut validation split.
        environment: `env.json`, by dotted name.
    """

    path: Path
    state: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: tuple[Mapping[str, float], ...]
    data: Mapping[str, Any]
    environment: Mapping[str, Any]

    @property
    def condition(self) -> str:
        """`finished`, `running`, `interrupted`, `failed`, or `killed`, where no process runs it any more."""
        told = str(self.state.get("state", "unknown"))
        return "killed" if told == "running" and not in_use(self.path) else told

    @property
    def model(self) -> str:
        """Name of the model; `described` where the settings hold one."""
        named = str(self.settings.get("model", "?"))
        return "described" if named.lstrip().startswith("{") else Path(named).stem

    @property
    def source(self) -> str:
        """Last part of the data's place."""
        places = self.settings.get("data") or ["?"]
        return Path(str(places[0]).rstrip("/")).name + (" …" if len(places) > 1 else "")

    @property
    def best(self) -> float | None:
        """The best headline metric of any validation, 0 to 1."""
        present = [name for name in HEADLINES if any(name in row for row in self.rows)]
        alike = [name for name in present if name.rpartition("/")[2] == present[0].rpartition("/")[2]]
        return max((row[name] for row in self.rows for name in alike if name in row), default=None)

    @property
    def epochs_done(self) -> float:
        """Up to the newest validation."""
        return self.rows[-1]["epoch"] if self.rows else 0.0

    @property
    def wall_s(self) -> float:
        """Seconds, pauses left out, up to the end or the newest validation."""
        return float(self.state.get("wall_s") or (self.rows[-1]["wall_s"] if self.rows else 0.0))


def is_run(path: Path) -> bool:
    """Whether a folder holds a run."""
    return (path / INPUT).exists()


def read_run(path: Path) -> RunRecord:
    """Read a run folder, finished or not.

    Raises:
        ConfigError: it holds no run.
    """
    if not is_run(path):
        what = "does not exist" if not path.exists() else "holds no run (it has no config.input.yaml)"
        raise ConfigError(f"{path} {what}; give a run folder, such as vitreous runs list shows")
    resolved = path / "config.yaml"
    settings = _yaml(resolved if resolved.exists() else path / INPUT)
    data = flatten(_json(path / "data.json"))
    split = path / "split.csv"
    if split.exists():
        data["validation split"] = hashlib.sha256(split.read_bytes()).hexdigest()[:12]
    return RunRecord(
        path=path,
        state=read_state(path) or {"state": "unknown" if not (path / STATE).exists() else "damaged"},
        settings=flatten(settings),
        rows=tuple(_rows(path / "metrics.csv")),
        data=data,
        environment=flatten(_json(path / "env.json")),
    )


def _rows(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: float(text) for key, text in row.items() if text and key != "time"} for row in rows]


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}
