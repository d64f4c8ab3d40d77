"""Two runs side by side: only what differs, the most telling first, and which of it can move accuracy.

The answer to "why is it 3 % lower". Settings are compared with every `auto` resolved, data by their
fingerprint and statistics, code by commit and version, the machine by what was recorded. Of a set of seeds
the first run stands for all; its metrics are means over seeds, with the standard error of their difference.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitreous.runs.record import RunRecord, read_run
from vitreous.runs.seeds import is_set, runs_of_set, spread

# Rows of `settings` that cannot move accuracy by more than rounding; all others can.
HARMLESS = (
    "out", "fresh", "reference", "log", "probes", "probing.", "saving.", "loading.workers", "loading.path",
    "loading.look", "device", "devices", "compile", "deterministic", "data", "timeout_s", "sharding",
    "schema_version",
)  # fmt: skip
FIRST = ("model", "image_size", "epochs", "time", "batch_size", "lr", "precision", "seed")
ROUNDING = ("packages.torch", "packages.torchvision", "packages.timm", "packages.pillow", "processor", "gpu.")
METRICS = ("val/top1", "val_ema/top1", "val/map", "val/f1_macro", "val/loss", "val_ema/loss", "train/loss")


@dataclass(frozen=True)
class Row:
    """What differs: group, name, both values (None for absent), and why it can move accuracy, or nothing."""

    group: str
    name: str
    a: Any
    b: Any
    moves: str = ""


@dataclass(frozen=True)
class Difference:
    """Two runs compared.

    Args:
        a: folder.
        b: folder.
        rows: what differs, the most telling first in each group.
        conclusion: in one or two sentences.
    """

    a: Path
    b: Path
    rows: tuple[Row, ...]
    conclusion: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [asdict(each) for each in self.rows]
        return {"a": str(self.a), "b": str(self.b), "differences": rows, "conclusion": self.conclusion}


def diff_runs(a: str | Path, b: str | Path) -> Difference:
    """Compare two runs, or two sets of seeds.

    Raises:
        ConfigError: a folder that holds no run.
    """
    left, right = (_members(Path(each)) for each in (a, b))
    first, second = left[0], right[0]
    seeds = len(left) > 1 or len(right) > 1
    rows = (
        *_metrics(left, right),
        *_settings(first, second, seeds),
        *_data(first, second),
        *_code(first, second),
        *_environment(first, second),
    )
    return Difference(Path(a), Path(b), rows, _conclusion(rows, left, right))


def _members(place: Path) -> list[RunRecord]:
    if is_set(place):
        return [read_run(each) for each in runs_of_set(place).values()]
    return [read_run(place)]


def _values(runs: list[RunRecord], name: str) -> list[float]:
    """The delivered model's metric where the run is finished, else that of its last validation."""
    told = (
        each.state.get("metrics", {}).get(name, each.rows[-1].get(name) if each.rows else None)
        for each in runs
    )
    return [float(value) for value in told if value is not None]


def _metrics(left: list[RunRecord], right: list[RunRecord]) -> Iterator[Row]:
    for name in METRICS:
        a, b = _values(left, name), _values(right, name)
        if a != b and (a or b):
            yield Row("metrics", name, _told(name, a), _told(name, b))
    for name, of in (("epochs done", "epochs_done"), ("state", "condition"), ("time (s)", "wall_s")):
        old, new = getattr(left[0], of), getattr(right[0], of)
        if old != new:
            yield Row("metrics", name, old, new)


def _told(name: str, values: list[float]) -> str | None:
    if not values:
        return None
    found = spread(values)
    text = found.plain() if name.endswith("loss") else found.percent()
    return text if found.n > 1 else text.removesuffix(" (n = 1)")


def _settings(a: RunRecord, b: RunRecord, seeds: bool) -> Iterator[Row]:
    rows = []
    for name in a.settings.keys() | b.settings.keys():
        old, new = a.settings.get(name), b.settings.get(name)
        if old == new or name in ("out", "fresh") or (seeds and name == "seed"):
            continue
        harmless = any(name == each or (each.endswith(".") and name.startswith(each)) for each in HARMLESS)
        moves = "" if harmless else "chance" if name == "seed" else "setting"
        rows.append(Row("settings", name, old, new, moves))
    rank = {name: place for place, name in enumerate(FIRST)}
    yield from sorted(rows, key=lambda row: (not row.moves, rank.get(row.name, len(FIRST)), row.name))


def _data(a: RunRecord, b: RunRecord) -> Iterator[Row]:
    first = ("fingerprint", "validation split", "mean", "std")
    why = dict(zip(first, ("other images", "other validation images", *["normalisation"] * 2), strict=True))
    for name in (*first, *sorted((a.data.keys() | b.data.keys()) - {*first})):
        if a.data.get(name) != b.data.get(name):
            moves = why.get(name, "images" if name.startswith("per_class.") else "")
            yield Row("data", name, a.data.get(name), b.data.get(name), moves)


def _code(a: RunRecord, b: RunRecord) -> Iterator[Row]:
    for name, key in (("commit", "git"), ("uncommitted changes", "git_dirty")):
        old, new = a.state.get(key), b.state.get(key)
        if old != new:
            yield Row("code", name, old, new, "code")
    old, new = (each.environment.get("packages.vitreous") for each in (a, b))
    if old != new:
        yield Row("code", "vitreous", old, new, "code")


def _environment(a: RunRecord, b: RunRecord) -> Iterator[Row]:
    names = (a.environment.keys() | b.environment.keys()) - {"packages.vitreous"}
    for name in sorted(names, key=lambda each: (not each.startswith(ROUNDING), each)):
        old, new = a.environment.get(name), b.environment.get(name)
        if old != new:
            yield Row("environment", name, old, new, "rounding" if name.startswith(ROUNDING) else "")


def _conclusion(rows: tuple[Row, ...], left: list[RunRecord], right: list[RunRecord]) -> str:
    by_kind: dict[str, list[str]] = {}
    for row in rows:
        kind = row.moves if row.moves in ("chance", "rounding") else "real" if row.moves else ""
        by_kind.setdefault(kind, []).append(_short(row))
    sentences = [each for each in (_gap(left, right),) if each]
    if real := by_kind.get("real"):
        sentences.append(f"What can move accuracy: {'; '.join(real)}.")
    if by_kind.get("rounding"):
        changed = "; ".join(by_kind["rounding"])
        sentences.append(f"By rounding alone, usually within the spread of seeds: {changed}.")
    if by_kind.get("chance"):
        sentences.append("The seed differs: --seeds 0..4 tells how much that alone moves.")
    if not by_kind.keys() & {"real", "rounding", "chance"}:
        sentences.append("Nothing that was recorded and differs can move accuracy.")
    return " ".join(sentences)


def _gap(left: list[RunRecord], right: list[RunRecord]) -> str:
    """How far apart the accuracies are, and of sets how sure that is."""
    for name in METRICS[:4]:
        a, b = (_values(runs, name) for runs in (left, right))
        if a and b:
            old, new = spread(a), spread(b)
            points = 100 * (new.mean - old.mean)
            direction = "higher" if points >= 0 else "lower"
            told = f"{name} is {abs(points):.2f} points {direction} in the second"
            if old.sd is not None and new.sd is not None:
                error = 100 * math.sqrt(old.sd**2 / old.n + new.sd**2 / new.n)
                told += f", with a standard error of {error:.2f} (n = {old.n} and {new.n})"
            return f"{told}."
    return ""


def _short(row: Row) -> str:
    if row.group == "data":
        return f"{row.name} of the data" + (f" ({row.moves})" if row.moves not in row.name else "")
    if row.name == "commit":
        return f"commit {str(row.a)[:8]} → {str(row.b)[:8]}"
    return f"{row.name} {text_of(row.a)} → {text_of(row.b)}"


def text_of(value: Any, most: int = 40) -> str:
    """A value as a short text."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        text = ", ".join(text_of(each) for each in value)
    else:
        text = str(value) if not isinstance(value, Mapping) else "…"
    return text if len(text) <= most else f"{text[: most - 1]}…"
