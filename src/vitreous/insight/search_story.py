"""A finished search as its page tells it: result, front, winner, population, cost, ranking, ledger."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vitreous.errors import ConfigError
from vitreous.insight.chart import Chart, Group, Matrix, Points
from vitreous.insight.story import LayerRow, in_rows, layers_of, provenance_of
from vitreous.interop.model_card import flatten
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.runs.record import is_run, read_run
from vitreous.searching.converged import converged
from vitreous.searching.folder import INPUT, PLAN, STATE
from vitreous.searching.gene_words import words_of_genes
from vitreous.searching.ledger import Candidate, read_genome, spelled
from vitreous.searching.report import TOP
from vitreous.searching.space import Gene, Space

MOST_LISTED, MOST_DRAWN = 200, 1500


@dataclass(frozen=True)
class SearchStory:
    """Everything about a search.

    Args:
        name: of the space.
        headline: the result in one line.
        verdict: whether the search beats its baselines.
        retrained: (what, top-1 in per cent, MACs, parameters, genome), the winner first.
        charts: accuracy against cost, of networks trained from scratch and of candidates.
        winner: the model, and its layers.
        population: for each thing that is chosen, the share of an option by place and generation.
        agreed: what the best have in common, a sentence each.
        phases: (phase, seconds, share in per cent).
        effort: what was looked at, in a sentence.
        ranking: (ranked by, τ, low, high, n), empty where it was not measured.
        ledger: the best candidates: header, then rows.
        candidates: how many there are.
        best: how many of the best these sentences are about.
        provenance: as of a run.
    """

    name: str
    headline: str
    verdict: str
    retrained: tuple[tuple[Any, ...], ...]
    charts: tuple[Chart, ...]
    winner: VisionTransformer
    layers: tuple[LayerRow, ...]
    population: tuple[Chart, ...]
    agreed: tuple[str, ...]
    best: int
    phases: tuple[tuple[str, float, float], ...]
    effort: str
    ranking: tuple[tuple[Any, ...], ...]
    ledger: tuple[tuple[Any, ...], ...]
    candidates: int
    provenance: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def is_search(folder: Path) -> bool:
    """Whether a folder holds a search."""
    return (folder / INPUT).exists() and ((folder / PLAN).exists() or (folder / STATE).exists())


def search_story(folder: Path) -> SearchStory:
    """Read a search.

    Raises:
        ConfigError: it is not finished, or its files cannot be read.
    """
    try:
        told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        space = Space.from_json(json.loads((folder / "space.json").read_text(encoding="utf-8")))
        lines = _lines(folder / "candidates.csv")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{folder} is a search that is not finished (no {Path(error.filename).name}); repeat its "
            "vitreous search command to go on"
        ) from None
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{folder}: its report cannot be read: {error}") from None
    first = told["retrained"][0]
    winner = space.resolve(tuple(first["candidate"]["genome"]))
    seconds = {name: float(each) for name, each in told["seconds"].items()}
    whole = sum(seconds.values()) or 1.0
    scoring = sum(each.seconds for each in lines)
    return SearchStory(
        name=space.name,
        headline=(
            f"{first['what']}: {100 * first['top1']:.2f} % of the validation images right, "
            f"{first['macs'] / 1e6:,.2f} million MACs, {first['params']:,} parameters"
        ),
        verdict=told["verdict"].replace("**", ""),
        retrained=tuple(_row(each) for each in told["retrained"]),
        charts=(_results(told), _scores(told, lines)),
        winner=winner,
        layers=layers_of(winner),
        population=_population(space, lines),
        agreed=_agreed(space, lines[:TOP]),
        best=min(TOP, len(lines)),
        phases=tuple((name, round(each), round(100 * each / whole, 1)) for name, each in seconds.items()),
        effort=(
            f"{told['looked_at']:,} of {told['count']:,} architectures were looked at, within the budget "
            f"{_budget(told['budget'])}; scoring them took {scoring:,.0f} s"
            + (f", {60 * len(lines) / scoring:,.0f} a minute." if scoring else ".")
        ),
        ranking=tuple(
            (name, *(None if each[key] is None else round(each[key], 2) for key in ("tau", "low", "high")),
             each["n"])
            for name, each in told["worth"].items()
        ),
        ledger=_ledger(lines),
        candidates=len(lines),
        provenance=_provenance(folder, first["run"]),
    )  # fmt: skip


def _lines(file: Path) -> list[Candidate]:
    with file.open(newline="", encoding="utf-8") as opened:
        return [
            Candidate(
                genome=read_genome(row["genome"]),
                macs=int(row["macs"]),
                params=int(row["params"]),
                top1=float(row["top1"]) if row["top1"] else None,
                images=int(row["images"]),
                stopped=row["stopped"] == "True",
                latency_ms=float(row["latency_ms"]) if row["latency_ms"] else None,
                memory=int(row["memory"]) if row["memory"] else None,
                generation=int(row["generation"]),
                origin=row["origin"],
                seconds=float(row["seconds"]),
                seed=int(row["seed"]),
            )
            for row in csv.DictReader(opened)
        ]


def _row(each: Mapping[str, Any]) -> tuple[Any, ...]:
    genome = each["candidate"] and spelled(tuple(each["candidate"]["genome"]))
    return each["what"], round(100 * each["top1"], 2), each["macs"], each["params"], genome


def _results(told: Mapping[str, Any]) -> Points:
    """Networks trained from scratch: winners as one kind, each baseline as one."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for each in told["retrained"]:
        kinds.setdefault("winners" if each["what"].startswith("winner") else each["what"], []).append(each)
    groups = tuple(
        Group(
            name,
            tuple(each["macs"] / 1e6 for each in found),
            tuple(100 * each["top1"] for each in found),
            tuple(each["what"] for each in found),
        )
        for name, found in kinds.items()
    )
    return Points(
        title="Trained from scratch", x="million MACs", y="validation top-1, %", groups=groups,
        limit=_limit(told),
    )  # fmt: skip


def _scores(told: Mapping[str, Any], lines: Sequence[Candidate]) -> Points:
    """Candidates by their score in the supernet, and their front."""
    whole = [each for each in lines if each.top1 is not None and not each.stopped]
    shown = whole[:: -(-len(whole) // MOST_DRAWN) or 1]
    front = [each for each in told["front"] if each["top1"] is not None]
    groups = (
        Group(
            "candidates",
            tuple(each.macs / 1e6 for each in shown),
            tuple(100 * (each.top1 or 0) for each in shown),
            tuple(f"{spelled(each.genome)}, generation {each.generation}" for each in shown),
            faint=True,
        ),
        Group(
            "front: unbeaten in score and cost",
            tuple(each["macs"] / 1e6 for each in front),
            tuple(100 * each["top1"] for each in front),
            tuple(spelled(tuple(each["genome"])) for each in front),
            joined=True,
        ),
    )
    chosen = [
        each for each in told["retrained"] if each["candidate"] and each["candidate"]["top1"] is not None
    ]
    marked = tuple(
        Group(
            each["what"],
            (each["macs"] / 1e6,),
            (100 * each["candidate"]["top1"],),
            (each["what"],),
        )
        for each in chosen
    )
    return Points(
        title="Candidates, by their score on the choice images",
        x="million MACs",
        y="score, % (ranks only)",
        groups=(*groups, *marked),
        limit=_limit(told),
    )


def _limit(told: Mapping[str, Any]) -> tuple[str, float] | None:
    limit = told["budget"].get("macs")
    return None if limit is None else ("budget", limit / 1e6)


def _population(space: Space, lines: Sequence[Candidate]) -> tuple[Chart, ...]:
    """Rows are the places where the same is chosen, columns generations, the last one the best of all."""
    generations = sorted({each.generation for each in lines})
    columns: list[Sequence[Candidate]] = [[e for e in lines if e.generation == g] for g in generations]
    columns.append(lines[:TOP])
    names = (*map(str, generations), "best")
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[str, int]]] = {}
    charts: list[Chart] = []
    for number, (gene, words) in enumerate(words_of_genes(space)):
        if gene.kind == "place":
            counted = [Counter(each.genome[number] - 1 for each in column) for column in columns]
            charts.append(_shares(f"{gene.name}: before which layer", words, names, counted, columns))
        else:
            where, _, what = gene.name.partition(" ")
            label = f"{where} {what.partition(' ')[0]}" if where in ("layer", "pool") else where
            choice = what.partition(" ")[2] if where in ("layer", "pool") else what
            groups.setdefault((choice, words), []).append((label, number))
    for (choice, words), members in groups.items():
        told = [word if _speaks(word) or not choice else f"{choice}: {word}" for word in words]
        for option in range(1 if len(words) == 2 else 0, len(words)):
            counted = [
                Counter(
                    place
                    for place, (_, number) in enumerate(members)
                    for each in column
                    if each.genome[number] == option
                )
                for column in columns
            ]
            labels = tuple(label for label, _ in members)
            charts.append(_shares(f"Share with {told[option]}", labels, names, counted, columns))
    return tuple(charts)


def _speaks(word: str) -> bool:
    """Whether a word tells what was chosen without the name of the choice: ideas do, numbers do not."""
    return word[:1].isalpha() and word not in ("yes", "no")


def _agreed(space: Space, best: Sequence[Candidate]) -> tuple[str, ...]:
    """What at least four of five have in common, a gene a sentence."""
    found = converged(space, best)
    told = tuple(f"{_named(gene)}: {what} in {count} of {len(best)}" for gene, what, count in found)
    return told or ("on nothing: wherever something is chosen, fewer than four of five are alike",)


def _named(gene: Gene) -> str:
    """Without where in its layer a choice without a name stands, such as `branches[0]`."""
    return " ".join(word for word in gene.name.split(" ") if not any(each in word for each in ".[("))


def _shares(
    title: str,
    rows: Sequence[str],
    names: Sequence[str],
    counted: Sequence[Counter[int]],
    columns: Sequence[Sequence[Candidate]],
) -> Matrix:
    short = tuple(each.removeprefix("layer ") for each in rows)
    return Matrix(
        title=title,
        rows=short,
        columns=tuple(names),
        values=tuple(
            tuple(count[row] / max(1, len(column)) for count, column in zip(counted, columns, strict=True))
            for row in range(len(rows))
        ),
        low=0,
        high=1,
        x="generation",
        y="layer" if all(each.startswith("layer ") for each in rows) else "",
    )


def _ledger(lines: Sequence[Candidate]) -> tuple[tuple[Any, ...], ...]:
    measured = [name for name in ("latency_ms", "memory") if any(getattr(e, name) is not None for e in lines)]
    head = ("rank", "score, %", "MACs", "parameters", *measured, "generation", "found by", "genome")
    rows = [
        (
            place,
            None if each.top1 is None else round(100 * each.top1, 2),
            each.macs,
            each.params,
            *(getattr(each, name) for name in measured),
            each.generation,
            each.origin + (", stopped early" if each.stopped else ""),
            spelled(each.genome),
        )
        for place, each in enumerate(lines[:MOST_LISTED], start=1)
    ]
    return (tuple(head), *rows)


def _budget(budget: Mapping[str, Any]) -> str:
    told = [f"{name} ≤ {value:,}" for name, value in budget.items() if value is not None]
    return ", ".join(told) or "(none)"


def _provenance(folder: Path, run: str) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Settings of the search; data, code and machine from the run of the winner."""
    asked = flatten(yaml.safe_load((folder / INPUT).read_text(encoding="utf-8")))
    rows = in_rows({key: value for key, value in asked.items() if key not in ("out", "storage")})
    of_run = provenance_of(read_run(folder / run)) if is_run(folder / run) else ()
    return ("Settings of the search", rows), *((f"{name} (the winner's)", held) for name, held in of_run)
