"""A set of seeds on a terminal: a row a seed, then mean ± standard deviation (n)."""

from collections.abc import Mapping

from vitreous.cli.tables import print_table
from vitreous.runs.seeds import SeedsResult, Spread

SHARES = ("top1", "top5", "map", "f1_macro", "ece")  # per cent on screen


def tell_set(trained: SeedsResult) -> None:
    """Print a trained set; the last line is its folder."""
    print_spreads(
        {seed: run.metrics for seed, run in trained.runs.items()},
        {name: each for name, each in trained.metrics.items() if name.startswith("val/")},
    )
    print(trained.folder)


def print_spreads(by_seed: Mapping[int, Mapping[str, float]], metrics: Mapping[str, Spread]) -> None:
    """Print metrics by seed, and over the seeds.

    Args:
        by_seed: metrics of each run.
        metrics: those to show, over the runs.
    """
    names = [name for name in metrics if name.rpartition("/")[2] in (*SHARES, "loss")]
    shares = {name: name.rpartition("/")[2] in SHARES for name in names}
    rows = [
        (
            str(seed),
            *(f"{100 * found[name]:.2f} %" if shares[name] else f"{found[name]:.4f}" for name in names),
        )
        for seed, found in by_seed.items()
    ]
    print_table(("seed", *names), rows)
    print()
    for name in names:
        each = metrics[name]
        print(f"{name:<14} {each.percent() if shares[name] else each.plain()}")
