"""Exact validation: every image once, in order, the last partial batch included.

Loss is plain cross-entropy (no smoothing), so that runs with different recipes compare. Top-k counts a hit
when the true class is among the k largest logits; k is clipped to the number of classes. Macro F1 is the mean
over the classes that occur or are answered of 2 · hits / (images of the class + answers of the class). All
are fractions from 0 to 1.

Of several processes each measures its share and the sums are added up, in float64: every image counts once,
also where they do not divide. A share may be empty; the model then runs on an image that does not count,
since a sharded model needs all processes for each batch.
"""

import contextlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vitreous.data.batch import Batch
from vitreous.data.preprocessing import Preprocessing
from vitreous.training.step import MIXED, TYPES
from vitreous.training.world import World


@torch.inference_mode()
def validate(
    model: nn.Module,
    batches: Iterable[Batch],
    preprocessing: Preprocessing,
    *,
    precision: str = "float32",
    world: World | None = None,
) -> dict[str, float]:
    """`loss`, `top1`, `top5` and `f1_macro` over all batches.

    Args:
        model: (batch, channels, height, width) -> (batch, classes).
        batches: of the split, on the model's device.
        preprocessing: gives the normalisation.
        precision: `float32`, 16-bit autocast, or `float64` for a model that is in it.
        world: the processes that share the images; None for this one alone.
    """
    device = next(model.parameters()).device
    autocast: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if precision in MIXED:
        autocast = torch.autocast(device.type, TYPES[precision])
    was_training = model.training
    model.eval()
    images_seen = 0.0
    pending: list[Tensor] = []  # read at the end, so that a GPU is never waited for in between
    dtype = torch.float64 if precision == "float64" else torch.float32
    for images, labels, _ in batches:
        shown = images if len(images) else images.new_zeros(1, *images.shape[1:])
        with autocast:
            logits = model(preprocessing.normalize(shown).to(dtype))
        logits = logits[: len(labels)].to(dtype)
        near = logits.topk(min(5, logits.shape[1]), dim=1).indices
        answers, nearest = near[:, 0], near == labels[:, None]
        loss = F.cross_entropy(logits, labels, reduction="sum")
        by_class = logits.new_zeros(3, logits.shape[1])  # hits, images, answers
        by_class[0].index_add_(0, labels, nearest[:, 0].to(dtype))
        by_class[1].index_add_(0, labels, torch.ones_like(labels, dtype=dtype))
        by_class[2].index_add_(0, answers, torch.ones_like(labels, dtype=dtype))
        first = torch.stack([loss, nearest[:, 0].sum(), nearest.sum()])
        pending.append(torch.cat([first, by_class.flatten()]))
        images_seen += len(labels)
    sums = torch.zeros(len(pending[0]), dtype=torch.float64)
    for each in pending:
        sums += each.cpu().to(torch.float64)
    model.train(was_training)
    counted = torch.cat([sums, torch.tensor([images_seen], dtype=torch.float64)])
    *summed, images_seen = (world or World()).sum(counted).tolist()
    loss_mean, top1, top5 = (each / max(1, images_seen) for each in summed[:3])
    hits, images_of, answers_of = torch.tensor(summed[3:], dtype=torch.float64).unflatten(0, (3, -1))
    occurs = images_of + answers_of > 0
    f1 = 2 * hits[occurs] / (images_of + answers_of)[occurs]
    return {"loss": loss_mean, "top1": top1, "top5": top5, "f1_macro": f1.mean().item()}
