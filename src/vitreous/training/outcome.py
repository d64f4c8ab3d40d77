"""The table at the end of a run: best and last validation side by side."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from vitreous.training.plan import Plan
from vitreous.training.progress import clock
from vitreous.training.tally import headline_of


def best_last_table(
    best: dict[str, Any], latest: dict[str, float], step: int, plan: Plan, wall_s: float
) -> str:
    """Plain text, the same on a terminal and in `train.log`.

    Args:
        best: step, epoch, kind of weights and metrics of the best validation.
        latest: metrics of the last validation.
        step: steps that were taken.
        plan: of the run.
        wall_s: seconds from the first start, pauses between restarts left out.
    """
    table = Table(
        box=SIMPLE, title=f"{plan.config.name} on validation images, {clock(wall_s)}", title_justify="left"
    )
    columns = {"top1": "top-1", "top5": f"top-{min(5, len(plan.classes))}"}
    if headline_of(best) == "map":
        columns = {"map": "mAP", "f1_macro": "macro F1"}
    for heading in ("", "epoch", "weights", *(f"{name} (%)" for name in columns.values()), "loss"):
        table.add_column(heading, justify="left" if heading in ("", "weights") else "right")
    table.add_row("best", f"{best['epoch']:.4g}", best["weights"], *_values(best, columns))
    for name, weights in (("val", "plain"), ("val_ema", "averaged")):
        if f"{name}/loss" in latest:
            values = {key: latest[f"{name}/{key}"] for key in (*columns, "loss")}
            table.add_row("last", f"{step / plan.steps_per_epoch:.4g}", weights, *_values(values, columns))
    text = io.StringIO()
    Console(file=text, width=100, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())


def _values(values: Mapping[str, Any], columns: Iterable[str]) -> tuple[str, ...]:
    return *(f"{100 * values[name]:.2f}" for name in columns), f"{values['loss']:.4f}"
