"""Which part of every batch one of several processes works on: equal, neighbouring rows.

    process r of n takes rows  r·B/n … (r + 1)·B/n − 1  of a batch of B

A batch is always the global one. Which images are in it and what is drawn for each of them do not depend on
how many processes share it, so 1, 2 and 4 processes take the same steps. Mixing needs each image's neighbour:
mixup and cutmix blend image i with image i − 1, so a process also gets the image `before` its first one,
augments it as its owner does, and lets go of it after mixing.
"""

from dataclasses import dataclass

import numpy as np

from vitreous.errors import ConfigError


@dataclass(frozen=True)
class Shard:
    """One process's part of every batch.

    Args:
        rank: which process, from 0.
        size: how many there are.
        before: whether the image before the first own one comes first, for mixing; with one process never.
    """

    rank: int = 0
    size: int = 1
    before: bool = False

    @property
    def extra(self) -> int:
        """Images in front that belong to another process: 0 or 1."""
        return int(self.before and self.size > 1)

    def places(self, batch: int) -> np.ndarray:
        """int64: the places in a batch of `batch` images that this process is given.

        Raises:
            ConfigError: the batch does not divide.
        """
        if batch % self.size:
            raise ConfigError(
                f"batch size {batch} does not divide over {self.size} processes; "
                f"{max(1, round(batch / self.size)) * self.size} does"
            )
        own = batch // self.size
        return np.arange(self.rank * own - self.extra, (self.rank + 1) * own) % batch

    def part(self, rows: np.ndarray) -> np.ndarray:
        """This process's part of rows that are each to be seen once; parts differ by at most one row."""
        return np.array_split(rows, self.size)[self.rank]
