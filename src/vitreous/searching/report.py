"""What a search found, for readers and for programs: report.md, report.json, candidates.csv, pareto.png."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vitreous.analysis.cost import cost
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import Attention, DepthwiseConv, LaPE, Recursive, SharedAttention, Sliced, Transposed
from vitreous.searching.budget import Budget
from vitreous.searching.converged import converged
from vitreous.searching.ledger import Candidate, spelled
from vitreous.searching.retrain import Retrained
from vitreous.searching.space import Space
from vitreous.searching.within import inside
from vitreous.searching.worth import Agreement
from vitreous.training.run_folder import write_text

TOP = 20


def write_report(
    folder: Path,
    *,
    space: Space,
    budget: Budget,
    ranked: Sequence[Candidate],
    front: Sequence[Candidate],
    retrained: Sequence[Retrained],
    worth: Mapping[str, Agreement],
    held_out: int,
    seconds: Mapping[str, float],
) -> str:
    """Write all four files; returns the text of the summary.

    Args:
        folder: of the search.
        space, budget: that were searched.
        ranked: all candidates, the best first.
        front: those that nothing beats in score and MACs.
        retrained: winners first, then baselines.
        worth: rankings by name, with how far they agree with retraining; empty where that was not asked.
        held_out: validation images that the accuracies are of.
        seconds: phase to wall time of this process.
    """
    winner = retrained[0]
    assert winner.candidate is not None
    model = space.resolve(winner.candidate.genome)
    lines = [
        f"# Search of {space.name}",
        "",
        f"{len(ranked):,} of {space.count:,} architectures looked at, budget {budget}.",
        "",
        "| what | validation top-1 (%) | MACs | parameters | genome |",
        "|---|---|---|---|---|",
    ]
    for each in retrained:
        genome = spelled(each.candidate.genome) if each.candidate else "–"
        lines.append(
            f"| {each.what} | {100 * each.top1:.2f} | {each.macs:,} | {each.params:,} | `{genome}` |"
        )
    lines += [
        "",
        verdict(retrained, held_out),
        "",
        _told_worth(worth),
        "",
        f"## The winner, {winner.what}",
        "",
    ]
    lines += ["```", *drawn(model), "```", "", f"## What the best {min(TOP, len(ranked))} agree on", ""]
    lines += [f"- {each}" for each in _converged(space, ranked[:TOP])]
    lines += [
        "",
        "Scores of candidates (candidates.csv) rank paths of the supernet on the choice images; they",
    ]
    lines += ["are no results. Accuracies above are of networks trained from scratch, on images that neither"]
    lines += ["trained a weight nor chose a candidate.", ""]
    lines += ["Time: " + ", ".join(f"{name} {value:,.0f} s" for name, value in seconds.items()) + ".", ""]
    text = "\n".join(lines)
    write_text(folder / "report.md", text)
    record: dict[str, Any] = {
        "space": space.name,
        "count": space.count,
        "budget": asdict(budget),
        "looked_at": len(ranked),
        "retrained": [asdict(each) | {"run": str(each.run.relative_to(folder))} for each in retrained],
        "worth": {name: asdict(each) for name, each in worth.items()},
        "verdict": verdict(retrained, held_out),
        "front": [asdict(each) for each in front],
        "seconds": dict(seconds),
    }
    write_text(folder / "report.json", json.dumps(record, indent=1) + "\n")
    _write_table(folder / "candidates.csv", ranked)
    _draw_front(folder / "pareto.png", ranked, front, retrained, budget)
    return text


def verdict(retrained: Sequence[Retrained], held_out: int) -> str:
    """Whether the best winner beats the baselines, in one sentence, with the noise of the images."""
    winners = [each for each in retrained if each.what.startswith("winner")]
    others = [each for each in retrained if each not in winners]
    best = max(winners, key=lambda each: each.top1)
    if not others:
        return (
            "Not compared with random search, the hand-made preset and a plain ViT (--compare does): whether "
            "the search helped is not known."
        )
    strongest = max(others, key=lambda each: each.top1)
    gain = best.top1 - strongest.top1
    error = math.sqrt(sum(it.top1 * (1 - it.top1) for it in (best, strongest)) / max(1, held_out))
    told = f"{100 * gain:+.2f} points beside the {strongest.what}, one seed each"
    if gain <= 0:
        return f"**The search does not beat its baselines**: {told}."
    if gain < 2 * error:
        return (
            f"The search is ahead by less than the noise of {held_out:,} validation images "
            f"(2 × {100 * error:.2f}): {told}. That it helped is not shown."
        )
    return f"The search beats its baselines: {told}; the noise of {held_out:,} images is ± {100 * error:.2f}."


def drawn(model: VisionTransformer) -> list[str]:
    """A model layer by layer: tokens, width, how tokens meet, and who shares with whom."""
    counted = cost(model).by_layer
    lines = []
    for each in counted:
        layer = ""
        if each.name.startswith("layers."):
            kinds = [type(it) for it in inside(model.layers[int(each.name.partition(".")[2])])]
            layer = "shared" if SharedAttention in kinds else "attention" if Attention in kinds else ""
            layer = "split" if DepthwiseConv in kinds else layer
            layer = "sliced" if Sliced in kinds else "over tokens" if Transposed in kinds else layer
            layer += " + LaPE" * (LaPE in kinds) + " twice" * (Recursive in kinds)
        bar = "▇" * max(1, round(8 * math.log2(1 + each.tokens) / math.log2(1 + counted[0].tokens)))
        lines.append(
            f"{each.name:<10} {each.tokens:>5} × {each.width:<5} {bar:<9} {layer:<20} {each.macs / 1e6:>9.3f}"
            f" M MACs  {each.shares}".rstrip()
        )
    return lines


def _told_worth(worth: Mapping[str, Agreement]) -> str:
    if not worth:
        return "How far the ranking agrees with retraining was not measured (--correlate 8 does)."
    rows = [f"| {name} | {each} |" for name, each in worth.items()]
    head = ["| ranking by | Kendall's τ with retrained accuracy, 95 % interval |", "|---|---|"]
    return "\n".join(head + rows)


def _converged(space: Space, best: Sequence[Candidate]) -> list[str]:
    told = [f"{gene.name}: {what} in {count} of {len(best)}" for gene, what, count in converged(space, best)]
    return told or ["on no gene: in each, fewer than four of five are alike"]


def _write_table(file: Path, ranked: Sequence[Candidate]) -> None:
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        names = list(asdict(ranked[0]))
        rows.writerow(names)
        for each in ranked:
            line = asdict(each) | {"genome": spelled(each.genome)}
            rows.writerow([line[name] for name in names])


def _draw_front(
    file: Path,
    ranked: Sequence[Candidate],
    front: Sequence[Candidate],
    retrained: Sequence[Retrained],
    budget: Budget,
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    scores, results = figure.subplots(1, 2)
    whole = [each for each in ranked if each.rank[0]]
    scores.scatter([it.macs / 1e6 for it in whole], [100 * (it.top1 or 0) for it in whole], 8, "tab:gray")
    scores.plot([it.macs / 1e6 for it in front], [100 * (it.top1 or 0) for it in front], "o-", ms=4)
    scores.set(xlabel="million MACs", ylabel="score: choice top-1 (%)", title="candidates and their front")
    for each in retrained:
        results.plot(each.macs / 1e6, 100 * each.top1, "o", label=each.what)
    results.set(xlabel="million MACs", ylabel="validation top-1 (%)", title="trained from scratch")
    if budget.macs is not None and budget.macs <= 2 * max(it.macs for it in ranked):  # else it is far off
        for axes in (scores, results):
            axes.axvline(budget.macs / 1e6, color="tab:red", lw=0.8, ls=":", label="budget")
    results.legend(fontsize=7)
    figure.savefig(file, dpi=120)
