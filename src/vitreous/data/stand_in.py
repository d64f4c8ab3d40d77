"""An image that cannot be read while training is replaced by the next one that can (`skip-unreadable`).

    i → the first readable of i + 1, i + 2, … of the split, from the start again after its end

So a batch keeps its size, and what a step sees is still a function of seed, step and data, whichever worker
meets the damage. In evaluation an unreadable image is left out instead: nothing may count twice. Ours.
"""

import numpy as np
from torch import Tensor

from vitreous.data.images import ImageSplit
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import DataError

MOST_IN_A_ROW = 100
"""So many unreadable images one after the other are no accident but a lost disk."""


def stand_ins(unreadable: np.ndarray) -> np.ndarray:
    """int64 (n,): for each image itself, or the one that stands in for it.

    Args:
        unreadable: bool (n,).

    Raises:
        DataError: none can be read.
    """
    readable = np.flatnonzero(~unreadable)
    if not len(readable):
        raise DataError("no readable image among those for training")
    following: np.ndarray = readable[np.searchsorted(readable, np.arange(len(unreadable))) % len(readable)]
    return following


def next_readable(
    split: ImageSplit, preprocessing: Preprocessing, i: int
) -> tuple[int, Tensor, dict[int, str]]:
    """The image that stands in for image i, its number, and what could not be read on the way.

    Args:
        split: the images.
        preprocessing: what the image is fitted to.
        i: an image that cannot be read.

    Raises:
        DataError: a hundred images in a row cannot be read.
    """
    unreadable: dict[int, str] = {}
    for step in range(1, min(len(split), MOST_IN_A_ROW)):
        other = (i + step) % len(split)
        try:
            return other, preprocessing.fit(split.image(other)), unreadable
        except DataError as error:
            unreadable[other] = str(error)
    first = next(iter(unreadable.values()), split.where(i))
    raise DataError(f"{len(unreadable) + 1} images in a row cannot be read, the first ones at: {first}")
