"""Pictures of results: the confusion matrix, and grids of images with what was said about them.

Drawn on matplotlib's own canvas, without pyplot, so that no window and no global state is touched. Shades
differ in lightness, the accent is Okabe and Ito's vermilion, and nothing is told by colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from PIL import Image

VERMILION, GREY = "#D55E00", "#666666"
MOST_NUMBERED = 30  # classes up to which every cell shows its count
MOST_NAMED = 120  # classes up to which every row and column has its name
SHADE_POWER = 0.5  # a confusion of one in a hundred is a tenth of the full shade, so that it can be seen
SHADES = [0, 0.01, 0.05, 0.2, 0.5, 1]
LONGEST_NAME = 26


@dataclass(frozen=True)
class Tile:
    """An image of a grid: lines above it, in dark and in the accent colour."""

    image: Image.Image | None
    lines: tuple[str, ...]
    accent: str = ""


def draw_confusion(confusion: np.ndarray, classes: Sequence[str], path: Path, title: str) -> None:
    """The confusion matrix: rows are true classes, columns predicted ones, shade the share of the row.

    Args:
        confusion: counts (classes, classes).
        classes: names.
        path: PNG file.
        title: text above it.
    """
    count = len(classes)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.5 * count, 4.0, 14.0))
    figure = Figure(figsize=(side + 2.6, side + 2.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = axes.imshow(share, cmap="Blues", norm=PowerNorm(SHADE_POWER, 0, 1), interpolation="nearest")
    axes.set_title(title, fontsize=12)
    axes.set_xlabel("predicted", fontsize=11)
    axes.set_ylabel("true", fontsize=11)
    bar = figure.colorbar(shown, ax=axes, fraction=0.035, pad=0.02)
    bar.set_label("share of the true class", fontsize=10)
    bar.set_ticks(SHADES, labels=[f"{100 * each:.0f} %" for each in SHADES])
    if count <= MOST_NAMED:
        size = float(np.clip(72 * side / count * 0.62, 5, 10))
        names = [shorten(name) for name in classes]
        upright = max(map(len, names)) * size * 0.65 > 72 * side / count
        axes.set_xticks(range(count), names, fontsize=size, rotation=90 if upright else 0)
        axes.set_yticks(range(count), names, fontsize=size)
    if count <= MOST_NUMBERED:
        largest = len(str(int(confusion.max())))
        size = float(np.clip(72 * side / count / max(largest, 2) * 1.0, 4.5, 11))
        for row, column in np.argwhere(confusion > 0):
            colour = "white" if share[row, column] ** SHADE_POWER > 0.6 else "black"
            axes.text(
                column,
                row,
                f"{confusion[row, column]}",
                ha="center",
                va="center",
                color=colour,
                fontsize=size,
            )
    figure.savefig(path, dpi=120, bbox_inches="tight")


def draw_grid(tiles: Sequence[Tile], path: Path, title: str, *, columns: int = 6) -> None:
    """Images in rows, each with its lines above it.

    Args:
        tiles: what to show; without any, the picture holds the title alone.
        path: PNG file.
        title: text on top.
        columns: images in a row.
    """
    columns = max(1, min(columns, len(tiles)))
    rows = ceil(len(tiles) / columns)
    lines = max((len(tile.lines) + bool(tile.accent) for tile in tiles), default=0)
    figure = Figure(
        figsize=(max(1.9 * columns, 6.0), (1.75 + 0.19 * lines) * rows + 0.8), layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12)
    for number, tile in enumerate(tiles):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.set_axis_off()
        if tile.image is not None:
            pixels = np.asarray(tile.image.convert("RGB"))
            axes.imshow(pixels, interpolation="nearest" if max(pixels.shape[:2]) < 100 else "antialiased")
        else:
            axes.text(0.5, 0.5, "unreadable", ha="center", va="center", color=GREY, transform=axes.transAxes)
            axes.set_aspect("equal")
        above = [*tile.lines, *([tile.accent] if tile.accent else [])]
        for place, line in enumerate(reversed(above)):
            last = bool(tile.accent) and place == 0
            axes.annotate(
                line, (0, 1), (0, 3 + 12 * place), xycoords="axes fraction", textcoords="offset points",
                fontsize=8.5, color=VERMILION if last else "black", annotation_clip=False,
            )  # fmt: skip
    figure.savefig(path, dpi=120, bbox_inches="tight")


def shorten(name: str, most: int = LONGEST_NAME) -> str:
    """A class name that fits: its beginning and its end where it is long."""
    if len(name) <= most:
        return name
    return f"{name[: most - most // 3 - 1]}…{name[-(most // 3) :]}"
