"""`vitreous runs`: runs listed, two compared, a failed batch replayed, a curve made of several."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vitreous.cli.options import Verb, parse
from vitreous.cli.tables import percent, print_table
from vitreous.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from vitreous.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class ListSettings:
    """Runs and sets of seeds, the newest first.

    Args:
        folder: that holds them; by default where runs go that are given no `--out`.
    """

    folder: str | None = None


@dataclass(frozen=True, kw_only=True)
class DiffSettings:
    """Two runs, or two sets of seeds, side by side: what differs, and what of it can move accuracy.

    Args:
        a: run folder, or set of seeds.
        b: another.
    """

    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """The newest batch of a run whose loss or gradient was not finite, taken once more and watched.

    Args:
        run: run folder, or one of its `debug/step-…`.
        device: `cpu`, `cuda`, …; by default the run's.
        rows: modules to print before the first that is not finite.
    """

    run: str
    device: str | None = None
    rows: int = 12


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings:
    """A known curve, for `vitreous train --reference FILE`, from runs that differ in their seed alone.

    Args:
        runs: finished run folders, or sets of seeds.
        out: JSON file to write; one that exists is left alone.
        metric: column of `metrics.csv`.
    """

    runs: list[str] = field(default_factory=list)
    out: str
    metric: str = "val/top1"


LIST = Verb(name="runs list", settings=ListSettings, example="vitreous runs list", positionals=("folder",))
DIFF = Verb(
    name="runs diff",
    settings=DiffSettings,
    example="vitreous runs diff runs/good runs/bad",
    positionals=("a", "b"),
)
REPLAY = Verb(
    name="runs replay", settings=ReplaySettings, example="vitreous runs replay runs/bad", positionals=("run",)
)
REFERENCE = Verb(
    name="runs reference",
    settings=ReferenceSettings,
    example="vitreous runs reference runs/flowers --out flowers.json",
    positionals=("runs",),
)


def run(words: Sequence[str]) -> int:
    """`list` (also without a word), `diff A B`, `replay RUN` or `reference RUN…`."""
    kinds = {"list": _list, "diff": _diff, "replay": _replay, "reference": _reference}
    first = words[0] if words else "list"
    if first in kinds:
        return kinds[first](words[1:])
    if first in ("-h", "--help"):
        print("usage: vitreous runs list [FOLDER]\n       vitreous runs diff A B")
        print("       vitreous runs replay RUN\n       vitreous runs reference RUNS… --out FILE\n")
        print(f"For example: {DIFF.example}")
        return 0
    if first.startswith("-"):
        return _list(words)
    known = "list, diff A B, replay RUN and reference RUN… work"
    raise ConfigError(f"runs {first}: {known}{did_you_mean(first, kinds, most=1)}")


def _list(words: Sequence[str]) -> int:
    asked = parse(LIST, words)
    from vitreous.runs.listing import ListedSet, list_runs, to_json

    found = list_runs(asked.settings.folder)
    if asked.as_json:
        print(json.dumps({"runs": [to_json(each) for each in found]}))
        return 0
    rows: list[tuple[str, ...]] = []
    for each in found:
        if isinstance(each, ListedSet):
            best = "–" if each.best is None else each.best.percent()
            rows.append((f"{each.path} (set)", each.condition, "", "", best, "", "", ""))
            rows += [_row(run, f"  {run.path.name}") for run in each.runs]
        else:
            rows.append(_row(each, str(each.path)))
    if not rows:
        print("no runs")
        return 0
    print_table(
        ("run", "state", "model", "data", "best", "epochs", "time", "begun"), rows, names=4, remarks=1
    )
    return 0


def _row(run: "RunRecord", name: str) -> tuple[str, ...]:
    from vitreous.training.progress import clock

    epochs = run.settings.get("epochs")
    of = f"/{epochs:.4g}" if isinstance(epochs, int | float) else ""
    begun = str(run.state.get("start") or "")[:16].replace("T", " ")
    best = "–" if run.best is None else percent(run.best)
    return (
        name,
        run.condition,
        run.model,
        run.source,
        best,
        f"{run.epochs_done:.4g}{of}",
        clock(run.wall_s),
        begun,
    )


def _diff(words: Sequence[str]) -> int:
    asked = parse(DIFF, words)
    from vitreous.runs.difference import diff_runs, text_of

    found = diff_runs(asked.settings.a, asked.settings.b)
    if asked.as_json:
        print(json.dumps(found.to_json(), default=str, ensure_ascii=False))
        return 0
    for group in dict.fromkeys(row.group for row in found.rows):
        rows = [(row.name, text_of(row.a), text_of(row.b)) for row in found.rows if row.group == group]
        print_table((group, str(found.a), str(found.b)), rows, names=3)
        print()
    print(found.conclusion)
    return 0


def _replay(words: Sequence[str]) -> int:
    asked = parse(REPLAY, words)
    from vitreous.runs.replay import replay

    found = replay(asked.settings.run, device=asked.settings.device)
    if asked.as_json:
        print(json.dumps(found.to_json()))
        return 0
    print(f"step {found.step} of {found.folder}: {found.what} was not finite")
    for look in found.looks:
        told = look.first or "all values are finite"
        norm = "" if found.what.startswith("val") else f", gradient norm {look.norm:.4g}"
        print(f"{look.precision:<10} loss {look.loss:.4g}{norm}: {told}")
    own = found.looks[0].outputs if found.looks else ()
    bad = next((place for place, seen in enumerate(own) if not seen.finite), len(own) - 1)
    shown = own[max(0, bad + 1 - asked.settings.rows) : bad + 1]
    if shown:
        print()
        rows = [(seen.module, f"{seen.largest:.3g}", "" if seen.finite else "not finite") for seen in shown]
        print_table(("output of", "largest", ""), rows, remarks=1)
    return 0


def _reference(words: Sequence[str]) -> int:
    asked = parse(REFERENCE, words)
    if not asked.settings.runs:
        raise ConfigError(f"runs reference needs RUNS; for example: {REFERENCE.example}")
    file = Path(asked.settings.out)
    if file.exists() or file.suffix != ".json":
        what = "exists already; it is left alone" if file.exists() else "is no .json file"
        raise ConfigError(f"--out {file} {what}; give a new name")
    from vitreous.runs.reference_curve import reference_curve

    curve = reference_curve(asked.settings.runs, name=file.stem, metric=asked.settings.metric)
    file.write_text(curve.to_text(), encoding="utf-8")
    print(json.dumps({"file": str(file), "points": len(curve.points)}) if asked.as_json else file)
    return 0
