"""A learning rate that a recipe gives for its own batch size, used with another one: told with what fits.

The rate grows in proportion to the batch (Goyal et al. 2017, Accurate, Large Minibatch SGD), or with its
square root, as is usual for Adam and its like (Malladi et al. 2022). A recipe that means this
says `lr_per_512` instead of `lr`, and nothing needs to be told.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

from vitreous.configuration.layers import Layered

logger = logging.getLogger("vitreous")


def warn_of_unscaled_lr(below: Layered, given: Mapping[str, Any]) -> None:
    """Log a sentence where the rate comes from below and the batch size no longer does.

    Args:
        below: what recipes, files and the environment set.
        given: settings of the caller, which stand over them.
    """
    lr, meant = below.values.get("lr"), below.lr_batch
    batch = given.get("batch_size", below.values.get("batch_size"))
    if "lr" in given or not isinstance(lr, float | int) or not isinstance(meant, int):
        return
    if not isinstance(batch, int) or batch == meant:
        return
    ratio = batch / meant
    logger.warning(
        "lr %g comes from %s, which has batches of %d, and this run has %d: %.2g (linear) or %.2g (square "
        "root, usual for AdamW) fits; --lr sets it",
        lr, below.sources["lr"], meant, batch, lr * ratio, lr * math.sqrt(ratio),
    )  # fmt: skip
