"""Which images make up which step: a function of (seed, step), so any step can be asked for.

Epoch e shows the images in the permutation drawn from stream ("order", e). The last partial batch is
dropped; the images in it are others in every epoch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vitreous.data.streams import stream
from vitreous.errors import ConfigError


@dataclass(frozen=True)
class BatchOrder:
    """The order of training.

    Args:
        images: how many there are.
        batch_size: images a step.
        seed: seed of the run.
    """

    images: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= self.images:
            raise ConfigError(
                f"batch size {self.batch_size} for {self.images} training images; 1 to {self.images} works"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.images // self.batch_size

    def epoch(self, epoch: int) -> np.ndarray:
        """int64 (steps_per_epoch, batch_size): the images of each step of an epoch."""
        order = stream(self.seed, "order", epoch).permutation(self.images)
        return order[: self.steps_per_epoch * self.batch_size].reshape(-1, self.batch_size)

    def from_step(self, step: int) -> Iterator[np.ndarray]:
        """The images of each step from `step` on, without end."""
        epoch, inside = divmod(step, self.steps_per_epoch)
        while True:
            yield from self.epoch(epoch)[inside:]
            epoch, inside = epoch + 1, 0
