"""How often an epoch shows each image: once, several times in one batch, or each class equally often.

Repeated augmentation (Hoffer et al., "Augment your batch", CVPR 2020; Touvron et al., DeiT, arXiv 2012.12877,
three repeats): an image stands in its batch several times, augmented differently each time. An epoch keeps
its number of samples, so with r repeats it shows about 1/r of the images. The copies are spread over their
batch at random, so that mixup seldom blends an image with itself.

Balanced sampling (ours, in place of drawing with replacement): each class that has images gets an equal share
of the samples, exact up to one. A class with fewer images than its share is gone through again and again,
each image equally often up to one; of a class with more, each epoch shows other images.
"""

from dataclasses import dataclass, field

import numpy as np

from vitreous.data.shard_order import permutation_by_shards
from vitreous.errors import ConfigError


@dataclass(frozen=True)
class Sampling:
    """Which images the samples of an epoch are.

    Args:
        repeats: times that an image stands in its batch, 1 to the batch size.
        labels: class of each image, where each class is to be equally likely; None for each image.
        shards: the shard that each image lies in, where reads are to stay together; None for full shuffling.
    """

    repeats: int = 1
    labels: np.ndarray | None = field(default=None, compare=False)
    shards: np.ndarray | None = field(default=None, compare=False)

    def check(self, batch_size: int) -> None:
        """Raises ConfigError where the copies of an image do not fit into a batch."""
        if not 1 <= self.repeats <= batch_size:
            raise ConfigError(
                f"recipe.repeats is {self.repeats}; 1 to the batch size, which is {batch_size}, works"
            )

    def epoch(self, generator: np.random.Generator, images: int, steps: int, batch_size: int) -> np.ndarray:
        """int64 (steps, batch_size): the images of each step.

        Args:
            generator: the epoch's part of the stream `order`.
            images: how many there are.
            steps: batches in an epoch.
            batch_size: images a batch.
        """
        samples = steps * batch_size
        different = -(-samples // self.repeats)
        if self.labels is not None:
            order = _balanced(generator, self.labels, different)
        elif self.shards is not None:
            order = permutation_by_shards(generator, self.shards)[:different]
        else:
            order = generator.permutation(images)[:different]
        if self.repeats == 1:
            return order.reshape(steps, batch_size)
        batches = np.repeat(order, self.repeats)[:samples].reshape(steps, batch_size)
        return generator.permuted(batches, axis=1)


def _balanced(generator: np.random.Generator, labels: np.ndarray, samples: int) -> np.ndarray:
    """int64 (samples,): images in random order, each class equally often up to one."""
    classes = np.unique(labels)
    share, over = divmod(samples, len(classes))
    shares = share + (generator.permutation(len(classes)) < over)
    picked = []
    for each, wanted in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == each)
        rounds = [generator.permutation(members) for _ in range(-(-wanted // len(members)))]
        picked += [np.concatenate(rounds)[:wanted]] if rounds else []
    return generator.permutation(np.concatenate(picked))
