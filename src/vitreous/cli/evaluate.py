"""`vitreous evaluate`: a trained model and images in, metrics and pictures out."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitreous.cli.options import Verb, parse
from vitreous.evaluation.settings import EvaluateSettings
from vitreous.training.processes import this_process

if TYPE_CHECKING:
    from vitreous.evaluation.result import EvaluationResult

VERB = Verb(
    name="evaluate",
    settings=EvaluateSettings,
    example="vitreous evaluate runs/flowers --split test",
    positionals=("run",),
)
MOST_ROWS = 30


def run(words: Sequence[str]) -> int:
    """Parse, evaluate, print."""
    asked = parse(VERB, words)
    settings = asked.settings
    given = {
        name.removeprefix("loading."): getattr(settings.loading, name.removeprefix("loading."))
        for name in asked.sources
        if name.startswith("loading.")
    }
    from vitreous.evaluation.evaluate import evaluate
    from vitreous.runs.seeds import is_set

    options: dict[str, Any] = {
        "data": settings.data,
        "split": settings.split,
        "out": settings.out,
        "device": settings.device,
        "batch_size": settings.batch_size,
        "turns": settings.turns,
        "loading": given,
    }
    if is_set(Path(settings.run)):
        return _set(settings.run, options, as_json=asked.as_json)
    result = evaluate(settings.run, **options)
    if not this_process().first:  # of several processes the first one tells
        return 0
    if asked.as_json:
        told = {
            "split": result.split,
            "metrics": result.metrics,
            "per_class": [dataclasses.asdict(each) for each in result.per_class],
            "images_per_second": result.images_per_second,
            "folder": str(result.folder),
        }
        print(json.dumps(told, ensure_ascii=False))
    else:
        _print(result)
    return 0


def _set(folder: str, options: dict[str, Any], *, as_json: bool) -> int:
    """Every run of a set of seeds, and mean ± standard deviation over them."""
    from vitreous.cli.told_seeds import print_spreads
    from vitreous.runs.seeds import evaluate_seeds

    results, metrics = evaluate_seeds(Path(folder), **options)
    if as_json:
        runs = {
            str(seed): {"metrics": each.metrics, "folder": str(each.folder)} for seed, each in results.items()
        }
        print(json.dumps({"runs": runs, "metrics": {name: vars(each) for name, each in metrics.items()}}))
    else:
        print_spreads({seed: each.metrics for seed, each in results.items()}, metrics)
    return 0


def _print(result: "EvaluationResult") -> None:
    from vitreous.cli.tables import percent, print_table

    found = {name.removeprefix(f"{result.split}/"): value for name, value in result.metrics.items()}
    rows = _of_several_classes(found) if "map" in found else _of_one_class(found)
    columns = ("class", "images", "precision", "recall", "F1")
    table = [
        (each.name, f"{each.images:,}", percent(each.precision), percent(each.recall), percent(each.f1))
        for each in result.per_class
    ]
    if len(table) > MOST_ROWS:
        worst = sorted(range(len(table)), key=lambda row: result.per_class[row].f1)[: MOST_ROWS // 2]
        table = [table[row] for row in worst]
        print(f"The {len(table)} of {len(result.per_class)} classes with the lowest F1:")
    print_table(columns, table)
    if confusions := result.confusions()[:5]:
        print("\nMost often confused:")
        print_table(("true", "predicted", "images"), [(a, b, f"{n:,}") for a, b, n in confusions], names=2)
    print()
    width = max(len(name) for name, _, _ in rows)
    for name, value, remark in rows:
        print(f"{name:<{width}}  {value:>9}  {remark}".rstrip())
    print(f"\n{len(result.answers):,} {result.split} images, {result.images_per_second:,.0f} images/s")
    for name in ("evaluation.json", "predictions.csv", "confusion.png", "mistakes.png"):
        if (result.folder / name).exists():
            print(result.folder / name)


def _of_several_classes(found: dict[str, float]) -> list[tuple[str, str, str]]:
    from vitreous.cli.tables import percent

    return [
        ("mean average precision", percent(found["map"]), "mean over the classes that occur"),
        ("macro F1", percent(found["f1_macro"]), "mean over classes, from probability 0.5 on"),
        ("micro F1", percent(found["f1_micro"]), "over all decisions"),
        ("exact", percent(found["exact"]), "images whose whole set of classes is right"),
        ("loss", f"{found['loss']:.4f}", "binary cross-entropy"),
    ]


def _of_one_class(found: dict[str, float]) -> list[tuple[str, str, str]]:
    from vitreous.cli.tables import percent

    low, high = percent(found["top1_low"]), percent(found["top1_high"])
    near = int(found["top_k"])
    return [
        ("top-1", percent(found["top1"]), f"95 % interval (Wilson) {low} to {high}"),
        (f"top-{near}", percent(found["top5"]), f"k is clipped to {near} classes" if near < 5 else ""),
        ("macro F1", percent(found["f1_macro"]), "mean over classes"),
        ("calibration error", percent(found["ece"]), "mean gap between confidence and accuracy"),
        ("loss", f"{found['loss']:.4f}", "cross-entropy"),
    ]
