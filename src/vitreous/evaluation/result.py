"""What an evaluation found: metrics, the table by class, and the answer to every image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitreous.evaluation.metrics import ClassResult


@dataclass(frozen=True)
class Answer:
    """What the model said about one labelled image: names and probabilities (0 to 1).

    Of images with any number of classes, the names are joined by `|`, and a probability is that of the whole
    set, as if its classes were independent.
    """

    where: str
    true: str
    predicted: str
    probability: float
    probability_of_true: float

    @property
    def right(self) -> bool:
        """Whether the answer is the true class, or exactly the true classes."""
        return self.true == self.predicted


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """A finished evaluation.

    Args:
        split: which images: `val`, `test`, `train`, or `all` of data without named splits.
        metrics: fractions from 0 to 1, as `val/top1` and so on (see `vitreous.evaluation.metrics`).
        per_class: the table by class.
        classes: names in the order of the confusion matrix.
        confusion: int64 (classes, classes), true in rows, predicted in columns; None of multi-label images.
        answers: one for each image, in the order of the data.
        images_per_second: reading included, the first batch too.
        folder: where the files are.
    """

    split: str
    metrics: dict[str, float]
    per_class: tuple[ClassResult, ...]
    classes: tuple[str, ...]
    confusion: np.ndarray | None
    answers: tuple[Answer, ...]
    images_per_second: float
    folder: Path

    @property
    def headline(self) -> str:
        """The one figure that stands for all: `top-1 98.89%`, or `mAP 71.20%` of multi-label images."""
        top1 = self.metrics.get(f"{self.split}/top1")
        if top1 is None:
            return f"mAP {self.metrics[f'{self.split}/map']:.2%}"
        return f"top-1 {top1:.2%}"

    def __repr__(self) -> str:
        return (
            f"EvaluationResult({self.split}: {self.headline}, {len(self.answers):,} images, "
            f"{len(self.classes)} classes, in {self.folder})"
        )

    def mistakes(self) -> list[Answer]:
        """Wrong answers, the most confident first."""
        return sorted((each for each in self.answers if not each.right), key=lambda each: -each.probability)

    def confusions(self) -> list[tuple[str, str, int]]:
        """(true, predicted, images) of every pair that was confused, the most frequent first."""
        if self.confusion is None:
            return []
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        pairs = [(self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in np.argwhere(wrong)]
        return sorted(pairs, key=lambda pair: -pair[2])
