"""Batches of a split: resident where the decoded images fit in memory, streaming where not.

Both give the same uint8 batches bit for bit; only their speed and memory differ.
"""

from collections.abc import Iterator
from typing import Protocol

import torch

from vitreous.data.batch import Batch
from vitreous.data.images import ImageSplit
from vitreous.data.loading import Loading
from vitreous.data.memory import available_bytes, in_words
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.resident import ResidentBatches
from vitreous.data.sampling import Sampling
from vitreous.data.shard import Shard
from vitreous.data.streaming import StreamingBatches, worker_count


class Batches(Protocol):
    """What training and evaluation read images from."""

    path: str
    """`resident` or `streaming`."""
    reason: str
    """Why, as one clause."""
    unreadable: set[int] | None
    """Rows found unreadable so far and replaced or left out; None where they are errors."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch of training, or in `all`."""

    def from_step(self, step: int) -> Iterator[Batch]:
        """Batches of training from `step` on, without end."""

    def all(self) -> Iterator[Batch]:
        """Every image once, in order; the last batch may be smaller, and of several processes' shares one
        may be empty."""


def make_batches(
    split: ImageSplit,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
    loading: Loading | None = None,
    train: bool,
    storage: Preprocessing | None = None,
    sampling: Sampling | None = None,
    shard: Shard | None = None,
) -> Batches:
    """Batches of one split.

    Args:
        split: the images.
        preprocessing: what the model takes.
        batch_size: images a batch, over all processes.
        seed: start of the stream `order`.
        device: where batches are wanted.
        loading: path and workers.
        train: shuffled, endless, without partial batches; else in order, each image once.
        storage: size at which images are kept before augmentation, where that differs
            (`training_storage`).
        sampling: how often an epoch of training shows each image; None for once.
        shard: which part of every batch this process is given; all of it by default.

    Raises:
        ConfigError: a batch size larger than the training split.
        DataError: an image that cannot be read.
    """
    loading = loading or Loading()
    kept = storage or preprocessing
    device = torch.device(device)
    path, reason = choose_path(len(split.pool if train else split), kept, loading)
    if path == "resident":
        return ResidentBatches(
            split,
            kept,
            batch_size=batch_size,
            seed=seed,
            device=device,
            train=train,
            reason=reason,
            sampling=sampling,
            shard=shard,
            skip=loading.skip_unreadable,
        )
    return StreamingBatches(
        split,
        kept,
        batch_size=batch_size,
        seed=seed,
        device=device,
        train=train,
        workers=worker_count(loading),
        reason=reason,
        sampling=sampling,
        shard=shard,
        skip=loading.skip_unreadable,
    )


def choose_path(images: int, kept: Preprocessing, loading: Loading) -> tuple[str, str]:
    """`resident` or `streaming`, and why: decoded images may take half of the free memory."""
    needed = images * kept.channels * kept.height * kept.width
    free = available_bytes()
    figures = f"the decoded images take {in_words(needed)} of {in_words(free)} free memory"
    if loading.path != "auto":
        return loading.path, f"asked for; {figures}"
    if needed <= free // 2:
        return "resident", figures
    return "streaming", f"{figures}, more than half"
