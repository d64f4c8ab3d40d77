"""What is measured where an image has any number of classes, by torchmetrics.

Average precision of a class is the area under its precision-recall curve, over all thresholds; `map` is its
mean over the classes that occur. F1 counts an image as having a class from probability 0.5 on: `f1_macro` is
the mean over the classes that occur or are said, `f1_micro` counts all decisions alike, `exact` is the share
of images whose whole set is right. All are fractions from 0 to 1; `loss` is binary cross-entropy, the mean
over images and classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    multilabel_average_precision,
    multilabel_f1_score,
    multilabel_precision,
    multilabel_recall,
)

from vitreous.evaluation.metrics import ClassResult, Measurement

THRESHOLD = 0.5


class MultiLabelMeter:
    """Collects batches of logits and memberships; used as `Meter`.

    Args:
        classes: names of the classes in output order.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (batch, classes) and memberships (batch, classes), 0 or 1."""
        self._logits.append(logits.detach().float().cpu())
        self._labels.append(labels.cpu())

    def result(self) -> Measurement:
        """The measurement over everything so far; at least one image is needed."""
        logits, labels = torch.cat(self._logits), torch.cat(self._labels).long()
        values, by_class = multi_label_metrics(logits, labels)
        counts = labels.sum(dim=0).tolist()
        rows = zip(self._classes, counts, *(by_class[each].tolist() for each in by_class), strict=True)
        per_class = tuple(
            ClassResult(name, count, precision, recall, f1, average_precision if count else None)
            for name, count, precision, recall, f1, average_precision in rows
        )
        return Measurement({"images": len(labels), **values}, per_class, None)


def multi_label_metrics(logits: Tensor, labels: Tensor) -> tuple[dict[str, float], dict[str, Tensor]]:
    """`loss`, `map`, `f1_macro`, `f1_micro`, `exact`; and by class `precision`, `recall`, `f1`, `ap`.

    Args:
        logits: float32 (images, classes).
        labels: int64 (images, classes), 0 or 1.
    """
    count = logits.shape[1]
    probabilities = logits.sigmoid()
    said = probabilities >= THRESHOLD
    by_class = {
        name: measure(probabilities, labels, count, average="none", threshold=THRESHOLD)
        for name, measure in (
            ("precision", multilabel_precision), ("recall", multilabel_recall), ("f1", multilabel_f1_score),
        )
    }  # fmt: skip
    occurs = labels.any(dim=0)
    ap = torch.zeros(count)
    if occurs.any():
        mine = probabilities[:, occurs], labels[:, occurs]
        of_those = multilabel_average_precision(*mine, int(occurs.sum()), average="none", thresholds=None)
        ap[occurs] = of_those.float()
    told = occurs | said.any(dim=0)
    values = {
        "loss": float(F.binary_cross_entropy_with_logits(logits.double(), labels.double())),
        "map": float(ap[occurs].double().mean()) if occurs.any() else 0.0,
        "f1_macro": float(by_class["f1"][told].double().mean()) if told.any() else 1.0,
        "f1_micro": float(multilabel_f1_score(probabilities, labels, count, average="micro")),
        "exact": float((said == labels.bool()).all(dim=1).double().mean()),
    }
    return values, by_class | {"ap": ap}
