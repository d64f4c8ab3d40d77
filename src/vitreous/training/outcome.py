"""The table at the end of a run: best and last validation side by side."""

import io
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from vitreous.training.plan import Plan
from vitreous.training.progress import clock


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
    for heading in ("", "epoch", "weights", "top-1 (%)", f"top-{min(5, len(plan.classes))} (%)", "loss"):
        table.add_column(heading, justify="left" if heading in ("", "weights") else "right")
    table.add_row("best", f"{best['epoch']:.4g}", best["weights"], *_values(best))
    for name, weights in (("val", "plain"), ("val_ema", "averaged")):
        if f"{name}/top1" in latest:
            values = {key: latest[f"{name}/{key}"] for key in ("top1", "top5", "loss")}
            table.add_row("last", f"{step / plan.steps_per_epoch:.4g}", weights, *_values(values))
    text = io.StringIO()
    Console(file=text, width=100, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())


def _values(values: dict[str, Any]) -> tuple[str, str, str]:
    return f"{100 * values['top1']:.2f}", f"{100 * values['top5']:.2f}", f"{values['loss']:.4f}"
