"""`metrics.jsonl`, one event a line, and `metrics.csv`, one row an epoch.

A checkpoint remembers how many bytes of `metrics.jsonl` belong to it; a continued run cuts the file back to
there, so no step is in it twice. The table is made from the events, so it needs no state of its own. Names
and keys are those of the documentation (`train/loss`, `val/top1`, …); accuracies are fractions from 0 to 1.
"""

import csv
import io
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitreous.training.tensorboard import EventFile

KEYS = ("step", "epoch", "samples", "wall_s", "time")


class MetricsLog:
    """Appends events to `folder/metrics.jsonl`.

    Args:
        folder: the run folder.
        size: bytes to keep of an existing file.
        tensorboard: whether the events are copied for TensorBoard.
    """

    def __init__(self, folder: Path, *, size: int = 0, tensorboard: bool = False) -> None:
        self._path = folder / "metrics.jsonl"
        self._table = folder / "metrics.csv"
        self._file = self._path.open("ab")
        if self._path.stat().st_size < size:  # somebody cut it shorter than the checkpoint remembers
            size = self._path.stat().st_size
        os.truncate(self._path, size)
        self._copy = EventFile(folder, read_events(self._path)) if tensorboard else None
        self.write_table()

    def write(self, keys: Mapping[str, float], values: Mapping[str, float]) -> None:
        """Append one event.

        Args:
            keys: `step`, `epoch`, `samples` and `wall_s`; the time of day is added.
            values: metrics by name.
        """
        event = {**keys, "time": datetime.now(UTC).isoformat(timespec="seconds"), **values}
        self._file.write(json.dumps(event).encode() + b"\n")
        self._file.flush()
        if self._copy is not None:
            self._copy.write(event)

    def sync(self) -> int:
        """Wait until all events are on the disk and return the size of the file in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._path.stat().st_size

    def write_table(self) -> None:
        """Rewrite `metrics.csv` from the validation events, each joined with the newest training event."""
        rows: list[dict[str, Any]] = []
        newest: dict[str, Any] = {}
        for event in read_events(self._path):
            newest.update(event)
            if "val/loss" in event:
                rows.append(dict(newest))
        columns = list(KEYS) + sorted({key for row in rows for key in row} - set(KEYS))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        temporary = self._table.with_suffix(".csv.writing")
        temporary.write_text(text.getvalue())
        temporary.replace(self._table)

    def close(self) -> None:
        """Close the file, and the copy."""
        self._file.close()
        if self._copy is not None:
            self._copy.close()


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events of a `metrics.jsonl`; a last line cut short by a kill is left out."""
    events = []
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                events.append(json.loads(line))
    return events
