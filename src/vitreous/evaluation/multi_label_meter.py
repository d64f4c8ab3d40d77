"""Collects what a model says of images with any number of classes, for `analysis/multi_label.py`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vitreous.analysis.multi_label import multi_label_metrics
from vitreous.evaluation.metrics import ClassResult, Measurement


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
