"""What a source of images offers: labels at once, pixels one at a time.

A source (`folder`, `parquet`, `tar_folder`, `digits`, …) turns the data argument into `Source.parts`, one
`Records` a split as the source names them, or a single part `all` where it names none. Class maps, cuts
and scans are made from that, the same way for all sources.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image


class Records(Protocol):
    """Labelled images that can be opened by number.

    Those that lie in tars also have `shards`, int32 (n,): which tar each is in.
    """

    names: tuple[str, ...]
    """Class names as the source spells them, in its order."""
    labels: np.ndarray
    """Positions in `names`: int64 (n,), or uint8 (n, names) where an image may have several (`labels.py`)."""
    stamp: str
    """Changes whenever a pixel may have changed (names, sizes, times): the key of caches."""
    identity: str
    """Like `stamp` but without times and places: equal for a copy of the data elsewhere."""

    def key(self, i: int) -> str:
        """Name of image i inside the data, stable when the data moves; what `split.csv` lists."""

    def where(self, i: int) -> str:
        """Place of image i for a message: a path, or `file.parquet row 12`."""

    def open(self, i: int) -> Image.Image:
        """Image i as stored, pixels perhaps not read yet. Raises whatever the reader raises."""


def is_writing(names: Collection[str]) -> bool:
    """Whether classes are letters or digits: ten and more names of one character each."""
    return len(names) >= 10 and all(len(name) == 1 for name in names)


@dataclass(frozen=True)
class Source:
    """The parts of a data set by split name (`train`, `val`, `test`), or `all` where it names none."""

    parts: dict[str, Records]
    writing: bool = False
    """Letters or digits: a mirrored image would be another class, or none."""
    heeds: tuple[str, ...] = ()
    """Settings of `Loading` that this kind of source looks at, of those that not all kinds do."""
