"""What is measured on labelled images, batch by batch, by torchmetrics.

top-1 and top-5 (top-k with k clipped to the number of classes), macro F1 and calibration error, all as
fractions from 0 to 1, each class's precision, recall and F1, and the confusion matrix. The interval of top-1
is Wilson's:

    centre ± half,  centre = (p + z²/2n) / (1 + z²/n),  half = z √(p(1−p)/n + z²/4n²) / (1 + z²/n)

with z = 1.96: where the accuracy lies with 95 % confidence if other images like these were drawn. It knows
nothing of other seeds of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import (
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

MOST_K = 5
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassResult:
    """One row of the table by class: `images` is the number that truly belong to it.

    `average_precision` is there where an image may have any number of classes, and the class occurs.
    """

    name: str
    images: int
    precision: float
    recall: float
    f1: float
    average_precision: float | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """What came out.

    Args:
        values: `images`, `loss` (cross-entropy), `top1`, `top1_low`, `top1_high`, `top5`, `top_k` (the k that
            `top5` stands for), `f1_macro` (over the classes that occur), `ece`; of multi-label images those
            of `analysis/multi_label.py`.
        per_class: in the order of the class map.
        confusion: int64 (classes, classes), true class in rows, predicted in columns; None where an image may
            have any number of classes.
    """

    values: dict[str, float]
    per_class: tuple[ClassResult, ...]
    confusion: np.ndarray | None


class Meter:
    """Collects batches of logits and labels.

    Args:
        classes: names of the classes in output order.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        count = len(self._classes)
        self._k = min(MOST_K, count)
        self._by_class = {
            "precision": MulticlassPrecision(count, average="none"),
            "recall": MulticlassRecall(count, average="none"),
            "f1": MulticlassF1Score(count, average="none"),
        }
        self._confusion = MulticlassConfusionMatrix(count)
        self._calibration = MulticlassCalibrationError(count, n_bins=CALIBRATION_BINS)
        self._images, self._first, self._near, self._loss = 0, 0, 0, 0.0

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (batch, classes) and class numbers (batch)."""
        logits, labels = logits.detach().float().cpu(), labels.cpu()
        nearest = logits.topk(self._k, dim=1).indices == labels[:, None]
        self._images += len(labels)
        self._first += int(nearest[:, 0].sum())
        self._near += int(nearest.sum())
        self._loss += float(F.cross_entropy(logits.double(), labels, reduction="sum"))
        said = logits.argmax(dim=1)
        for metric in (*self._by_class.values(), self._confusion):
            metric.update(said, labels)
        self._calibration.update(logits.softmax(dim=1), labels)

    def result(self) -> Measurement:
        """The measurement over everything so far; at least one image is needed."""
        low, high = wilson(self._first, self._images)
        confusion = self._confusion.compute()
        by_class = {name: metric.compute().tolist() for name, metric in self._by_class.items()}
        occurs = (confusion.sum(dim=0) + confusion.sum(dim=1)) > 0
        f1_macro = torch.tensor(by_class["f1"], dtype=torch.float64)[occurs].mean()
        values = {
            "images": self._images,
            "loss": self._loss / self._images,
            "top1": self._first / self._images,
            "top1_low": low,
            "top1_high": high,
            "top5": self._near / self._images,
            "top_k": self._k,
            "f1_macro": float(f1_macro),
            "ece": float(self._calibration.compute()),
        }
        per_class = tuple(
            ClassResult(name, int(confusion[i].sum()), *(by_class[each][i] for each in by_class))
            for i, name in enumerate(self._classes)
        )
        return Measurement(values, per_class, confusion.numpy())


def wilson(hits: int, images: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % by default."""
    share, weight = hits / images, z * z / images
    centre = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / images + weight / (4 * images)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)
