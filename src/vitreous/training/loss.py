"""Cross-entropy with label smoothing, on labels or on mixed targets.

    L = −Σ_c [(1 − s)·t_c + s / C] · log softmax(z)_c

with smoothing s over C classes; t is one-hot for a label, or the probabilities that mixup and cutmix leave.
With class weights w every term of class c is multiplied by w_c, and the mean is over images, not weights, so
that a batch of rare classes counts more than one of frequent ones. All are torch's `cross_entropy`, in
float32 whatever the precision of the model, since a sum of exponentials in 16 bits is coarser than the
differences that late training is about.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def classification_loss(
    logits: Float[Tensor, "batch classes"],
    targets: Int[Tensor, " batch"] | Float[Tensor, "batch classes"],
    label_smoothing: float = 0.0,
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Mean loss of a batch.

    Args:
        logits: of any float type.
        targets: class numbers, or one probability per class.
        label_smoothing: 0 to 1.
        weights: what each class counts; None for all alike.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if targets.is_floating_point():
        targets = targets.to(logits.dtype)
    if weights is not None:
        total = F.cross_entropy(
            logits,
            targets,
            weight=weights.to(logits.dtype),
            label_smoothing=label_smoothing,
            reduction="sum",
        )
        return total / len(logits)
    return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
