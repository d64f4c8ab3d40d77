"""Which images make up which step: a function of (seed, step), so any step can be asked for.

Epoch e shows the images in the permutation drawn from stream ("order", e). The last partial batch is
dropped; the images in it are others in every epoch. `Sampling` may repeat images or even out classes.
One of several processes gets its columns of the batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vitreous.data.sampling import Sampling
from vitreous.data.shard import Shard
from vitreous.data.streams import stream
from vitreous.errors import ConfigError


@dataclass(frozen=True)
class BatchOrder:
    """The order of training.

    Args:
        images: how many there are.
        batch_size: images a step, over all processes.
        seed: seed of the run.
        sampling: how often images are shown; by default each once.
        shard: which columns of every batch are handed out.
    """

    images: int
    batch_size: int
    seed: int
    sampling: Sampling = field(default_factory=Sampling)
    shard: Shard = field(default_factory=Shard)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= self.images:
            raise ConfigError(
                f"batch size {self.batch_size} for {self.images} training images; 1 to {self.images} works"
            )
        self.sampling.check(self.batch_size)
        self.shard.places(self.batch_size)  # raises where it does not divide

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.images // self.batch_size

    def epoch(self, epoch: int) -> np.ndarray:
        """int64 (steps_per_epoch, images of this process): the images of each step of an epoch."""
        generator = stream(self.seed, "order", epoch)
        batches = self.sampling.epoch(generator, self.images, self.steps_per_epoch, self.batch_size)
        return batches if self.shard.size == 1 else batches[:, self.shard.places(self.batch_size)]

    def from_step(self, step: int) -> Iterator[np.ndarray]:
        """The images of each step from `step` on, without end."""
        epoch, inside = divmod(step, self.steps_per_epoch)
        while True:
            yield from self.epoch(epoch)[inside:]
            epoch, inside = epoch + 1, 0
