"""Accuracy with the image's high or low frequencies taken away."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from vitreous.analysis.frequency_cutoff import CUTOFFS, high_pass, low_pass
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Meter, Setting

NAME = "cutoff"
TITLE = "Accuracy against a cut-off of the input"
HOW = (
    "Top-1 accuracy when frequencies above (low-pass) or below (high-pass) a cut-off are taken out of "
    "the image. A low-pass curve that rises early reads shapes; a high-pass curve that stays up late "
    "reads edges and texture. Chance is the floor."
)
IMAGES = 256


class CutOff(Meter):
    """Of the model as it is; an untrained one would be chance everywhere."""

    def finding(self, setting: Setting) -> Finding:
        """By cut-off."""
        if setting.control:
            return Finding({}, "An untrained model answers by chance.")
        if setting.labels is None:
            return Finding({}, "The data's classes are not the model's, so there is no accuracy.")
        changes: dict[str, Callable[[Tensor], Tensor]] = {"plain": lambda images: images}
        for each in CUTOFFS:
            changes[f"low {each:g}"] = partial(low_pass, cutoff=each)
            changes[f"high {each:g}"] = partial(high_pass, cutoff=each)
        sums = dict.fromkeys(changes, 0.0)
        images, classes = 0, 0
        with torch.no_grad():
            for batch, labels in setting.batches(IMAGES):
                for name, change in changes.items():  # one at a time: an image has ten shapes here
                    logits = setting.model(change(batch))
                    sums[name] += float((logits.argmax(dim=1) == labels).sum())
                images, classes = images + len(batch), logits.shape[1]
        right = {name: each / images for name, each in sums.items()}
        found = {
            "cutoffs": list(CUTOFFS),
            "low_pass": [right[f"low {each:g}"] for each in CUTOFFS],
            "high_pass": [right[f"high {each:g}"] for each in CUTOFFS],
            "plain": right["plain"],
            "images": images,
            "chance": 1 / classes,
        }
        lines = tuple(
            Line(name, CUTOFFS, tuple(100 * each for each in found[key]))  # type: ignore[attr-defined]
            for name, key in (("low-pass", "low_pass"), ("high-pass", "high_pass"))
        )
        chart = Lines(
            title="Accuracy by cut-off",
            x="cycles a pixel",
            y="top-1, %",
            lines=lines,
            level=("whole image", 100 * right["plain"]),
        )
        half = next(
            (each for each in CUTOFFS if right[f"low {each:g}"] >= (right["plain"] + 1 / classes) / 2), None
        )
        reached = (
            f"half of its accuracy above chance is there at {half:g} cycles a pixel"
            if half
            else "no low-pass reaches half"
        )
        return Finding(found, f"Of {100 * right['plain']:.1f} % on {images} images, {reached}.", (chart,))
