"""Pictures of a dry run: the first batch as the model sees it, and the learning rate, also as text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vitreous.data.preprocessing import Preprocessing
from vitreous.evaluation.pictures import Tile, draw_grid, shorten
from vitreous.training.objective import Shown

MOST_IMAGES = 24
BARS = "▁▂▃▄▅▆▇█"
Rates = Sequence[tuple[float, float]]


def draw_first_batch(
    path: Path, shown: Shown, preprocessing: Preprocessing, classes: Sequence[str], model: str
) -> Path:
    """The images after augmentation, each with the classes that it counts as.

    Args:
        path: PNG file.
        shown: the batch.
        preprocessing: whose normalisation is undone.
        classes: names.
        model: for the title.
    """
    count = min(MOST_IMAGES, len(shown.images))
    channels = (1, preprocessing.channels, 1, 1)
    mean, std = (torch.tensor(each).view(channels) for each in (preprocessing.mean, preprocessing.std))
    pixels = (shown.images[:count].float().cpu() * std + mean).clamp(0, 1).mul(255).round().to(torch.uint8)
    tiles = []
    for image, target in zip(pixels, shown.targets[:count].cpu(), strict=True):
        array = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        tiles.append(Tile(picture, _named(target, classes)))
    title = f"{model}: the first batch as the model sees it, {count} of {len(shown.images)} images"
    draw_grid(tiles, path, title)
    return path


def _named(target: Tensor, classes: Sequence[str]) -> tuple[str, ...]:
    if not target.is_floating_point():
        return (shorten(classes[int(target)], 20),)
    target = target[: len(classes)]  # a teacher's answer may stand behind the labels
    values, places = target.topk(min(2, len(classes)))
    pairs = zip(values.tolist(), places.tolist(), strict=True)
    named = [(shorten(classes[place], 14), share) for share, place in pairs]
    return tuple(
        name if share > 0.995 else f"{100 * share:.0f} % {name}" for name, share in named if share > 0.005
    )


def draw_learning_rate(path: Path, rates: Rates, model: str) -> Path:
    """The learning rate over the epochs.

    Args:
        path: PNG file.
        rates: (epoch, rate).
        model: for the title.
    """
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(*zip(*rates, strict=True), color="#1f77b4", linewidth=1.8)
    axes.set(title=f"{model}: learning rate", xlabel="epoch", ylim=(0, None))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    return path


def sparkline(values: Sequence[float], width: int = 48) -> str:
    """Values as bars from zero to the largest: `▁▃▆█▇▅▃▂▁`."""
    if not values or max(values) <= 0:
        return ""
    last = len(values) - 1
    chosen = [values[round(last * place / (width - 1))] for place in range(width)]
    return "".join(BARS[min(7, int(8 * each / max(values)))] for each in chosen)
