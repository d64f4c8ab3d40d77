"""What one step is given: images, their labels, and which images of the split they are."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """A batch of one split, on the device where it is wanted.

    Args:
        images: uint8 (batch, channels, rows, columns).
        labels: int64 (batch,): positions in the class map; or uint8 (batch, classes) of multi-label data.
        rows: int64 (batch,): positions in the split; what is known of each image (a teacher's answer, a
            weight) is found by them.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
