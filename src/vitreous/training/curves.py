"""`figures/curves.png`: loss, accuracy and learning rate over the epochs, drawn from `metrics.jsonl`."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from vitreous.training.metrics_log import read_events

COLOURS = {"train": "#7f7f7f", "val": "#1f77b4", "val_ema": "#d62728"}
LABELS = {"train": "training (augmented)", "val": "validation", "val_ema": "validation, averaged weights"}


def draw_curves(run: Path, title: str) -> Path:
    """Draw the curves of a run folder and return the file.

    Args:
        run: holds `metrics.jsonl`.
        title: one line over the picture.
    """
    events = read_events(run / "metrics.jsonl")
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    canvas = FigureCanvasAgg(figure)  # needs no display, and leaves matplotlib's global state alone
    loss, accuracy, rate = figure.subplots(1, 3)
    for name in ("train", "val", "val_ema"):
        _line(loss, events, f"{name}/loss", name)
    several = any("val/map" in event for event in events)
    for name in ("val", "val_ema"):
        _line(accuracy, events, f"{name}/map" if several else f"{name}/top1", name)
    _line(rate, events, "optim/lr", None)
    loss.set(title="loss", xlabel="epoch")
    accuracy.set(title="mean average precision" if several else "top-1 accuracy", xlabel="epoch")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    rate.set(title="learning rate", xlabel="epoch")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axes in (loss, accuracy, rate):
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    path = run / "figures" / "curves.png"
    path.parent.mkdir(exist_ok=True)
    canvas.print_png(path)
    return path


def _line(axes: Axes, events: list[dict[str, Any]], key: str, name: str | None) -> None:
    points = [(event["epoch"], event[key]) for event in events if key in event]
    if not points:
        return
    label = None if name is None else LABELS[name]
    colour = COLOURS["val"] if name is None else COLOURS[name]
    marker = "o" if len(points) < 4 else None
    axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, linewidth=1.6)
