"""What a search may see: images that train the supernet, images that choose between candidates, nothing else.

    weights    train the supernet                              from the training images
    choice     score candidates; stratified, drawn from the seed      from the training images
    the rest   validation and test images of the data set      not here

The records that search code is given know their own images only: a validation image that was cut from the
training images, or a test image, has no number here that could be asked for. Retrained networks are measured
by training itself, on validation images that no candidate was chosen by.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from vitreous.data.cache import content_key
from vitreous.data.cut import stratified
from vitreous.data.images import Data, ImageData, ImageSplit, open_images
from vitreous.data.loading import Loading
from vitreous.data.streams import stream
from vitreous.errors import ConfigError, DataError

MOST_CHOICE = 5000


class OwnRecords:
    """Some rows of other records, numbered anew; the others cannot be reached.

    Args:
        split: whose images these are.
    """

    def __init__(self, split: ImageSplit) -> None:
        whole, rows = split.records, split.rows.copy()
        self.names = whole.names
        self.labels = whole.labels[rows]
        self.stamp = content_key([whole.stamp, rows.tobytes()])
        self.identity = content_key([whole.identity, rows.tobytes()])

        def row(i: int) -> int:
            if not 0 <= i < len(rows):
                raise IndexError(f"image {i} of {len(rows)}")
            return int(rows[i])

        self.key = lambda i: whole.key(row(i))
        self.where = lambda i: whole.where(row(i))
        self._open = lambda i: whole.open(row(i))

    def open(self, i: int) -> Image.Image:
        """Image i as stored."""
        opened: Image.Image = self._open(i)
        return opened


def open_search_data(
    data: Data, *, loading: Loading, seed: int, split_file: Path, choice: int | str = "auto"
) -> ImageData:
    """The images of a search: split `train` trains the supernet, `val` is the choice split.

    Args:
        data, loading, seed: as `open_images` takes them.
        split_file: keeps the cut of the validation images, where the data set names none, for retraining.
        choice: images that candidates are scored by; `auto` is a tenth, at most 5,000.

    Raises:
        DataError: data that cannot be used, or with one class.
        ConfigError: a choice split that is too small or too large.
    """
    opened = open_images(data, loading=loading, seed=seed, split_file=split_file, need=("train", "val"))
    if opened.multi_label:
        raise DataError("search ranks candidates by top-1, and these images may have any number of classes")
    if len(opened.classes) < 2:
        raise DataError(
            f"the images have one class, '{opened.classes[0]}': every architecture is right on all of them; "
            "search needs two classes or more"
        )
    train = opened.splits["train"]
    own = OwnRecords(train)
    count = min(round(len(train) / 10), MOST_CHOICE) if choice == "auto" else int(choice)
    count = max(count, len(opened.classes)) if choice == "auto" else count
    if not len(opened.classes) <= count <= len(train) // 2:
        raise ConfigError(
            f"--choice {count} of {len(train)} training images: from {len(opened.classes)} (one a class) to "
            f"{len(train) // 2} (half) work"
        )
    labels = train.labels
    chosen = stratified(labels, count / len(train), stream(seed, "choice"))
    weights = np.setdiff1d(np.arange(len(train)), chosen)
    everything = np.arange(len(train))

    def split(rows: np.ndarray) -> ImageSplit:
        return ImageSplit(own, rows, labels[rows], train.channels, everything, train.checked)

    return replace(
        opened,
        splits={"train": split(weights), "val": split(chosen)},
        fingerprint=content_key([opened.fingerprint, chosen.tobytes()]),
    )
