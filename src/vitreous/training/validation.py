"""Exact validation: every image once, in order, the last partial batch included.

What is counted is in `tally.py`. Of several processes each measures its share: every image counts once, also
where they do not divide. A share may be empty; the model then runs on an image that does not count,
since a sharded model needs all processes for each batch.
"""

import contextlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from vitreous.data.batch import Batch
from vitreous.data.preprocessing import Preprocessing
from vitreous.training.step import MIXED, TYPES
from vitreous.training.tally import Tally, tally_of
from vitreous.training.world import World


def validate(
    model: nn.Module,
    batches: Iterable[Batch],
    preprocessing: Preprocessing,
    *,
    precision: str = "float32",
    world: World | None = None,
) -> dict[str, float]:
    """`loss` and the other metrics of `tally.py` over all batches.

    Args:
        model: (batch, channels, height, width) -> (batch, classes).
        batches: of the split, on the model's device.
        preprocessing: gives the normalisation.
        precision: `float32`, 16-bit autocast, or `float64` for a model that is in it.
        world: the processes that share the images; None for this one alone.
    """
    world = world or World()
    # parts of a model that are put together in inference mode could not be trained with afterwards
    with torch.inference_mode() if world.alone else torch.no_grad():
        return _tally(model, batches, preprocessing, precision).result(world)


def _tally(model: nn.Module, batches: Iterable[Batch], preprocessing: Preprocessing, precision: str) -> Tally:
    """The images of this process."""
    device = next(model.parameters()).device
    autocast: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if precision in MIXED:
        autocast = torch.autocast(device.type, TYPES[precision])
    was_training = model.training
    model.eval()
    tally: Tally | None = None
    dtype = torch.float64 if precision == "float64" else torch.float32
    for images, labels, _ in batches:
        shown = images if len(images) else images.new_zeros(1, *images.shape[1:])
        with autocast:
            logits = model(preprocessing.normalize(shown).to(dtype))
        tally = tally or tally_of(labels, logits.shape[1])
        tally.add(logits[: len(labels)].to(dtype), labels)
    model.train(was_training)
    assert tally is not None, "every process gets at least one batch"
    return tally
