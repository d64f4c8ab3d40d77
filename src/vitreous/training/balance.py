"""Classes of unequal size: weights in the loss, or a sampler, with the table that says what they do.

    weights    w_c = N / (C · n_c)      N images, C classes that have any, n_c images of class c
    sampler    p_c = 1 / C              (`data/sampling.py`)

The weights are inverse to the class frequencies and their mean over the images is 1, so that the loss and
the learning rate keep their scale; where all classes are equally large every weight is 1. Both make the
classes count alike; weights keep every image and scale its gradient, the sampler shows rare images often.
"""

from typing import Any

import torch
from torch import Tensor

from vitreous.data.images import ImageSplit
from vitreous.training.recipe import Recipe

MANY = 40


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Float32 (classes,): what the loss of each class is multiplied by; 0 for a class without images.

    Args:
        labels: int64 class of every training image.
        classes: how many there are.
    """
    counts = torch.bincount(labels, minlength=classes).to(torch.float64)
    present = counts > 0
    weights = torch.where(present, len(labels) / (present.sum() * counts.clamp(min=1)), 0.0)
    return weights.to(torch.float32)


def describe_balance(split: ImageSplit, names: tuple[str, ...], recipe: Recipe) -> dict[str, Any]:
    """What `data.json` keeps: the kind, and for each class its count and its weight or probability."""
    labels = torch.from_numpy(split.labels)
    counts = torch.bincount(labels, minlength=len(names))
    if recipe.balance == "weights":
        what, values = "weight", class_weights(labels, len(names))
    else:
        present = (counts > 0).to(torch.float32)
        what, values = "probability", present / present.sum()
    rows = zip(names, counts.tolist(), values.tolist(), strict=True)
    return {
        "kind": recipe.balance,
        "classes": {name: {"images": count, what: round(value, 6)} for name, count, value in rows},
    }


def balance_table(described: dict[str, Any]) -> str:
    """The same for a reader, rarest class first; of very many classes the rarest and the most frequent."""
    rows = sorted(described["classes"].items(), key=lambda row: row[1]["images"])
    what = next(key for key in rows[0][1] if key != "images")
    width = max(len("class"), *(len(name) for name, _ in rows))
    lines = [f"balance {described['kind']}", f"  {'class':<{width}}  {'images':>9}  {what:>11}"]
    shown = [*rows[: MANY // 2], None, *rows[-MANY // 2 :]] if len(rows) > MANY else rows
    for row in shown:
        if row is None:
            lines.append(f"  … {len(rows) - MANY} classes between")
            continue
        lines.append(f"  {row[0]:<{width}}  {row[1]['images']:>9,}  {row[1][what]:>11.4g}")
    return "\n".join(lines)
