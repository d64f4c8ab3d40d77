"""What analyses share: they are shown batches, features and maps as they come, sum up, and tell.

A meter measures one model once: trained, or its untrained control. What it found is plain values for JSON,
a sentence of what this model shows, or a sentence why there is nothing. How values of several models are
drawn side by side is a function beside the meter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.analysis.seen import AttentionMap, Features
from vitreous.insight.chart import Chart
from vitreous.models.vision_transformer import VisionTransformer

MOST_TOKENS = 1024  # maps of more tokens are not unfolded over all of them


@dataclass(frozen=True)
class Setting:
    """What a meter may know about the model beside what it sees.

    Args:
        model: in evaluation mode.
        config: its description; None for timm's.
        image: channels, height and width of its input.
        few: some normalised images, the first of those that are looked at.
        pixels: the first so many of them for the eye: uint8 (images, channels, height, width).
        classes: names of the model's outputs; None where they are not known.
        labels: of these; None where the model's classes are not those of the data.
        run: the folder of the run that the model came from; None for others, and for the control.
        batches: normalised images with their labels, again from the start: batches(how many images).
        control: whether this is the untrained model.
        budget_s: most seconds for what is dear.
        steps, dimensions: of the loss landscape.
        say: tells the user a sentence before something dear.
    """

    model: nn.Module
    config: VisionTransformer | None
    image: tuple[int, int, int]
    few: Tensor
    pixels: Callable[[int], Tensor]
    classes: tuple[str, ...] | None
    labels: Tensor | None
    run: Path | None
    batches: Callable[[int], Any]
    control: bool
    budget_s: float
    steps: int
    dimensions: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """What one analysis found of one model.

    Args:
        values: plain values for JSON, by name; empty where there is nothing.
        shows: one sentence.
        charts: pictures of this model alone.
    """

    values: dict[str, Any]
    shows: str
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True)
class MapShape:
    """What a map will be like: tokens, heads, what it is over, and whether it is an earlier layer's."""

    name: str
    tokens: int
    heads: int
    over: str
    shared: bool = False


class Meter:
    """Base of all analyses: does nothing with what it is shown."""

    kinds: tuple[str, ...] = ()
    maps = False

    def expect(self, maps: Sequence[MapShape]) -> None:
        """The maps of every pass, before the first."""

    def features(self, seen: Features) -> None:
        """Tokens of a layer."""

    def map(self, seen: AttentionMap) -> None:
        """A map of a layer."""

    def batch(self, images: Tensor) -> None:
        """A batch is through."""

    def finding(self, setting: Setting) -> Finding:
        """What was found."""
        raise NotImplementedError


@dataclass
class Means:
    """Means by layer over images, summed batch by batch."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: Tensor) -> None:
        """Values of a batch: (batch, …)."""
        total = values.double().sum(dim=0).cpu()
        self.sums[name] = self.sums[name] + total if name in self.sums else total
        self.counts[name] = self.counts.get(name, 0) + len(values)

    def of(self, name: str) -> Tensor:
        """The mean, without the first axis."""
        return self.sums[name] / self.counts[name]

    @property
    def names(self) -> list[str]:
        """Layers, in the order in which they were first seen."""
        return list(self.sums)

    def listed(self) -> list[float]:
        """One number a layer."""
        return [float(self.of(name)) for name in self.sums]


def short_name(name: str) -> str:
    """A layer's name for an axis: `layers.3 turn 1` is `3 turn 1`, a block of a stage `0.1`."""
    return name.replace(".blocks.", ".").removeprefix("layers.").removeprefix("blocks.")


def spaced(names: Sequence[str], most: int) -> list[str]:
    """At most so many of the names, evenly over the depth, first and last among them."""
    if len(names) <= most:
        return list(names)
    places = torch.linspace(0, len(names) - 1, most).round().long().tolist()
    return [names[place] for place in places]


def trend(values: Sequence[float], what: str) -> str:
    """A curve over depth in a sentence, to three significant digits."""
    if len(values) == 1:
        return f"{what} is {values[0]:.3g}"
    first, last = values[0], values[-1]
    change = "falls" if last < first else "rises"
    ends = f"from {first:.3g} in the first layer to {last:.3g} in the last"
    if abs(last - first) < 0.02 * max(abs(first), abs(last), 1e-9):
        change, ends = "stays", f"near {first:.3g}"
    return f"{what} {change} {ends}"
