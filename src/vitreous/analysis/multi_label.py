"""Metrics of images with any number of classes, by torchmetrics.

Average precision of a class is the area under its precision-recall curve, over all thresholds; `map` is its
mean over the classes that occur. F1 counts an image as having a class from probability 0.5 on: `f1_macro` is
the mean over the classes that occur or are said, `f1_micro` counts all decisions alike, `exact` is the share
of images whose whole set is right. All are fractions from 0 to 1; `loss` is binary cross-entropy, the mean
over images and classes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    multilabel_average_precision,
    multilabel_f1_score,
    multilabel_precision,
    multilabel_recall,
)

THRESHOLD = 0.5


def multi_label_metrics(
    logits: Float[Tensor, "images classes"], labels: Int[Tensor, "images classes"]
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """`loss`, `map`, `f1_macro`, `f1_micro`, `exact`; and by class `precision`, `recall`, `f1`, `ap`.

    Args:
        logits: on the CPU.
        labels: 0 or 1.
    """
    labels = labels.long()
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
