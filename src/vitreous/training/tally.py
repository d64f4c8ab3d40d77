"""What a validation counts, batch by batch, and what comes of it over all processes.

    OneClass      loss, top1, top5 (k clipped to the classes), f1_macro: sums, which add up over processes
    AnyNumber     loss, map, f1_macro, f1_micro, exact: of all answers together (`analysis/multi_label.py`)

Loss is cross-entropy without smoothing, so that runs with different recipes compare. The macro F1 of one
class an image is the mean of 2·hits / (said + true) over the classes that occur or are said.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from vitreous.analysis.multi_label import multi_label_metrics
from vitreous.training.world import World

HEADLINES = {"top1": "top-1", "map": "mAP"}
"""The metric that stands for all of them, by its name: of one class an image, and of any number."""


def headline_of(found: Mapping[str, Any]) -> str:
    """Name of the metric that stands for all that a validation found."""
    return next(name for name in HEADLINES if name in found)


class Tally(Protocol):
    """Counts batches."""

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (batch, classes) and its labels, of either kind."""

    def result(self, world: World) -> dict[str, float]:
        """The metrics over the images of all processes."""


def tally_of(labels: Tensor, classes: int) -> Tally:
    """The tally for labels of their kind (`data/labels.py`)."""
    return AnyNumber() if labels.ndim == 2 else OneClass(classes)


class OneClass:
    """Sums over images of one class each."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._pending: list[Tensor] = []  # read at the end, so that a GPU is never waited for in between
        self._images = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch."""
        classes = self._classes
        nearest = logits.topk(min(5, classes), dim=1).indices
        hits = nearest == labels[:, None]
        loss = F.cross_entropy(logits, labels, reduction="sum")
        said = nearest[:, 0]
        by_class = [torch.bincount(each, minlength=classes) for each in (labels[hits[:, 0]], said, labels)]
        sums = torch.stack([loss, hits[:, 0].sum(), hits.sum()])
        self._pending.append(torch.cat([sums, *by_class]))
        self._images += len(labels)

    def result(self, world: World) -> dict[str, float]:
        """`loss`, `top1`, `top5` and `f1_macro`."""
        sums = torch.zeros(4 + 3 * self._classes, dtype=torch.float64)
        sums[0] = self._images
        for each in self._pending:
            sums[1:] += each.cpu().to(torch.float64)
        images, loss, top1, top5 = world.sum(sums)[:4].tolist()
        hits, said, true = sums[4:].view(3, self._classes)
        told = said + true > 0
        f1 = float((2 * hits[told] / (said + true)[told]).mean()) if told.any() else 0.0
        images = max(1, images)
        return {"loss": loss / images, "top1": top1 / images, "top5": top5 / images, "f1_macro": f1}


class AnyNumber:
    """Answers to images of any number of classes."""

    def __init__(self) -> None:
        self._answers: list[tuple[Tensor, Tensor]] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Keep a batch."""
        self._answers.append((logits.float(), labels))

    def result(self, world: World) -> dict[str, float]:
        """`loss`, `map`, `f1_macro`, `f1_micro` and `exact`."""
        mine = [torch.cat(each).cpu() for each in zip(*self._answers, strict=True)]
        logits, labels = (torch.cat(each) for each in zip(*world.gathered(mine), strict=True))
        return multi_label_metrics(logits, labels)[0]
