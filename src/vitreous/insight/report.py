"""One page that tells runs: result, training, mistakes, model, what happens inside, where it came from.

Where the page would be too large to mail, maps to pick from are left out first, then charts of single models.
The folder of a search has a page of its own (`search_page.py`).
"""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError
from vitreous.insight.chart import Chart, Group, Line, Lines, Points
from vitreous.insight.listed import ANALYSES, chosen, side_by_side
from vitreous.insight.page import check_page, rendered
from vitreous.insight.paired import paired
from vitreous.insight.search_page import search_page
from vitreous.insight.search_story import is_search
from vitreous.insight.story import Story, story
from vitreous.runs.record import HEADLINES, is_run
from vitreous.runs.seeds import is_set

logger = logging.getLogger("vitreous")
MOST_BYTES = 5_000_000


@dataclass(frozen=True)
class Compared:
    """Runs in a table, sentences of paired differences, accuracy against cost and by epoch."""

    rows: tuple[tuple[Any, ...], ...]
    sentences: tuple[str, ...]
    pareto: Chart | None
    progress: Chart | None


def report(
    runs: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    images: int = 128,
    only: Sequence[str] | None = None,
    device: str = "auto",
) -> Path:
    """Write a page about runs, or about a search.

    Args:
        runs: run folders, or folders of sets of seeds; or one folder of a finished search.
        out: the file; by default `report.html` in the run, or here for several.
        images: how many to look inside with.
        only: analyses; by default all but the loss landscape and the curvature.
        device: `cpu`, `cuda`, …, or `auto`.

    Raises:
        ConfigError: a folder without a run, a search among runs or unfinished, an unknown analysis, or an
            `out` that cannot be written.
    """
    given = [Path(runs)] if isinstance(runs, str | Path) else [Path(each) for each in runs]
    if not given:
        raise ConfigError("no run to report; give a run folder, such as vitreous runs list shows")
    chosen(only)
    searches = [each for each in given if is_search(each)]
    if searches and len(given) > 1:
        raise ConfigError(
            f"{searches[0]} is a search, which has a page of its own; give it alone, or the runs in its "
            "folder retrained/"
        )
    if searches:
        return search_page(searches[0], out=out)
    found = [(group, run) for group in given for run in _runs(group)]
    path = (
        Path(out)
        if out is not None
        else (found[0][1] / "report.html" if len(found) == 1 else Path("report.html"))
    )
    check_page(path)
    names = _names([run for _, run in found])
    stories = [
        story(run, name, images=images, device=device, only=list(only or ()))
        for (_, run), name in zip(found, names, strict=True)
    ]
    text = page(stories, [str(group) for group, _ in found])
    if len(text.encode()) > MOST_BYTES:
        logger.warning("the page would be over %d MB: maps to pick from are left out", MOST_BYTES // 10**6)
        stories = [dataclasses.replace(each, pick=None) for each in stories]
        text = page(stories, [str(group) for group, _ in found])
    if len(text.encode()) > MOST_BYTES:
        logger.warning("charts of single models are left out, too; fewer runs or --only keep them")
        text = page(stories, [str(group) for group, _ in found], single=False)
    path.write_text(text, encoding="utf-8")
    return path


def page(stories: Sequence[Story], groups: Sequence[str], *, single: bool = True) -> str:
    """The page as text.

    Args:
        stories: of the runs.
        groups: for each, what it was given as: runs of one set of seeds have one group.
        single: whether charts of single models are shown beside those of all.
    """
    names = ", ".join(each.name for each in stories)
    picks = [each.pick.to_json() for each in stories if each.pick is not None]
    return rendered(
        "report.html",
        title=f"Report: {names}" if len(stories) <= 3 else f"Report of {len(stories)} runs",
        stories=stories,
        compared=compare(stories, groups) if len(stories) > 1 else None,
        analyses=_analyses(stories, single),
        picks=picks,
    )


def compare(stories: Sequence[Story], groups: Sequence[str]) -> Compared:
    """Runs beside each other; groups by paired seeds."""
    rows = tuple(
        (each.name, each.record.model, each.seed, _result(each), each.parameters,
         None if each.macs is None else round(each.macs / 1e6, 2), round(each.record.wall_s))
        for each in stories
    )  # fmt: skip
    of_group: dict[str, dict[int, float]] = {}
    for each, group in zip(stories, _groups(stories, groups), strict=True):
        result = _result(each)
        if result is not None:
            of_group.setdefault(group, {})[each.seed] = result
    listed = list(of_group)
    sentences = []
    for other in listed[1:]:
        difference = paired(of_group[listed[0]], of_group[other])
        if difference is None:
            sentences.append(f"{other} and {listed[0]} share no seed, so their runs cannot be paired.")
        elif difference.low is None or difference.high is None:
            sentences.append(f"{other} − {listed[0]}: {difference.mean:+.2f} points, one pair: no interval.")
        else:
            sentences.append(
                f"{other} − {listed[0]}: {difference.mean:+.2f} points, "
                f"95 % interval {difference.low:+.2f} to {difference.high:+.2f} over {difference.n} pairs of "
                f"equal seeds: {difference.verdict}."
            )
    points = [(each, _result(each)) for each in stories if each.macs and _result(each) is not None]
    pareto = None
    if len({each.macs for each, _ in points}) > 1:
        groups_of = tuple(
            Group(each.name, (each.macs / 1e6,), (result,), (each.name,))  # type: ignore[operator, arg-type]
            for each, result in points
        )
        pareto = Points(title="Accuracy against cost", x="million MACs", y="result, %", groups=groups_of)
    lines = tuple(line for each in stories if (line := _progress(each)) is not None)
    progress = None
    if len(lines) > 1:
        title = "Validation by epoch, the better of plain and averaged weights"
        progress = Lines(title=title, x="epoch", y="result, %", lines=lines)
    return Compared(rows, tuple(sentences), pareto, progress)


def _progress(each: Story) -> Line | None:
    """The headline metric of every validation in per cent."""
    found = []
    for row in each.record.rows:
        values = [row[name] for name in HEADLINES if name in row]
        if values:
            found.append((row["epoch"], 100 * max(values)))
    if not found:
        return None
    return Line(each.name, tuple(x for x, _ in found), tuple(y for _, y in found))


def _result(each: Story) -> float | None:
    """The headline in per cent: measured where it was, else the best of training."""
    for key, value in each.metrics.items():
        if key.rpartition("/")[2] in ("top1", "map"):
            return round(100 * value, 2)
    return None if each.record.best is None else round(100 * each.record.best, 2)


def _groups(stories: Sequence[Story], groups: Sequence[str]) -> list[str]:
    """Sets of seeds by their folder; single runs by their settings but the seed."""
    counts = {group: list(groups).count(group) for group in groups}
    found: dict[str, str] = {}
    names = []
    for each, group in zip(stories, groups, strict=True):
        if counts[group] > 1:
            names.append(Path(group).name)
            continue
        alike = repr(sorted((k, str(v)) for k, v in each.record.settings.items() if k not in ("seed", "out")))
        names.append(found.setdefault(alike, each.name))
    return names


def _analyses(stories: Sequence[Story], single: bool) -> list[dict[str, Any]]:
    """Title, how to read it, the chart of all models, and what each shows."""
    looked = [(each.name, each.analysis.models[0]) for each in stories if each.analysis is not None]
    listed = []
    for name, analysis in ANALYSES.items():
        of = [(who, one) for who, one in looked if name in one.found]
        if not of:
            continue
        together = side_by_side(
            analysis,
            {who: one.found[name] for who, one in of},
            {who: one.control.get(name, {}) for who, one in of},
        )
        if len(of) == 1 and together is not None and len(together.lines) == 1 and of[0][1].charts.get(name):
            together = None  # its own charts have the curve
        shown = [(who, one.shows[name], one.charts.get(name, ()) if single else ()) for who, one in of]
        listed.append({"title": analysis.title, "how": analysis.how, "together": together, "of": shown})
    return listed


def _runs(given: Path) -> list[Path]:
    if is_set(given):
        runs = sorted(given.glob("seed-*"), key=lambda each: (len(each.name), each.name))
        return [each for each in runs if is_run(each)]
    return [given]


def _names(runs: Sequence[Path]) -> list[str]:
    """Last parts of the paths, with as much before them as tells them apart."""
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [f"{run.resolve().parent.name}/{run.resolve().name}" for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({place + 1})" for place, name in enumerate(names)]
