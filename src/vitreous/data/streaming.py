"""Streaming: worker processes decode the images of each batch, for sets larger than memory.

torch's DataLoader does the work; the order comes from `BatchOrder`, so that what a step sees depends on
neither the number of workers nor where the run was continued, and equals resident loading bit for bit.
A worker hands a bad image back as a value, not as an exception: the main process raises one sentence.
"""

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vitreous.data.batch import Batch
from vitreous.data.images import ImageSplit
from vitreous.data.loading import Loading
from vitreous.data.order import BatchOrder
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.sampling import Sampling
from vitreous.data.shard import Shard
from vitreous.data.stand_in import next_readable
from vitreous.data.threads import cores
from vitreous.errors import ConfigError, DataError

logger = logging.getLogger("vitreous")
Loaded = tuple[Tensor | str, np.ndarray, dict[int, str]]
"""Images or what went wrong, their rows, and what is wrong with rows that were skipped."""
_BROKE = "it could be read when training began"
_FOUND = "repair or remove it, or replace such images by their neighbours with --loading.skip-unreadable"


class StreamingBatches:
    """Batches decoded by worker processes when they are needed; arguments as `ResidentBatches`."""

    path = "streaming"

    def __init__(
        self,
        split: ImageSplit,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        train: bool,
        workers: int,
        reason: str = "asked for",
        sampling: Sampling | None = None,
        shard: Shard | None = None,
        skip: bool = False,
    ) -> None:
        self.reason = reason
        self.workers = workers
        self.unreadable: set[int] | None = set() if skip else None
        self._images = _Images(split, preprocessing, skip=skip, replace=train)
        self._checked = split.checked
        self._labels = torch.from_numpy(split.labels)
        self._batch_size = batch_size
        self._device = device
        self._shard = shard or Shard()
        self._order = (
            BatchOrder(len(split), batch_size, seed, sampling or Sampling(), self._shard) if train else None
        )

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch of training, or in `all`."""
        if self._order is not None:
            return self._order.steps_per_epoch
        return -(-len(self._labels) // self._batch_size)

    def from_step(self, step: int) -> Iterator[Batch]:
        """Batches of training from `step` on, without end."""
        assert self._order is not None, "made with train=False"
        yield from self._load(self._order.from_step(step))

    def all(self) -> Iterator[Batch]:
        """Every image once, in order; the last batch may be smaller, and of several processes' shares one
        may be empty."""
        rows = np.arange(len(self._labels))
        starts = range(0, len(rows), self._batch_size)
        yield from self._load(self._shard.part(rows[at : at + self._batch_size]) for at in starts)

    def _load(self, batches: Iterable[np.ndarray]) -> Iterator[Batch]:
        loader: DataLoader[Loaded] = DataLoader(
            self._images,  # type: ignore[arg-type]
            batch_sampler=_Once(batches),  # type: ignore[arg-type]
            num_workers=self.workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            pin_memory=self._device.type == "cuda",
            generator=torch.Generator(),  # else it would draw from the caller's
        )
        with warnings.catch_warnings():
            # Python 3.12 warns of every fork beside threads; workers touch no lock of ours
            warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
            loaded = iter(loader)
        while True:
            try:
                images, rows, unreadable = next(loaded)
            except StopIteration:
                return
            except RuntimeError as error:
                if "worker" not in str(error):
                    raise
                raise DataError(
                    f"a worker process that decodes images died ({str(error).splitlines()[0]}); "
                    "memory may be short: fewer --loading.workers or a smaller batch size needs less"
                ) from error
            if isinstance(images, str):
                raise DataError(f"{images}; {_BROKE if self._checked else _FOUND}")
            if self.unreadable is not None:
                for row in sorted(unreadable.keys() - self.unreadable):
                    self.unreadable.add(row)
                    logger.warning("%s; %s", unreadable[row], "replaced" if self._order else "left out")
            yield Batch(
                images.to(self._device, non_blocking=True),
                self._labels[rows].to(self._device, non_blocking=True),
                torch.from_numpy(rows).to(self._device, non_blocking=True),
            )


class _Images(Dataset[Loaded]):
    """Whole batches of decoded images, or the sentence about the one that could not be read."""

    def __init__(self, split: ImageSplit, preprocessing: Preprocessing, *, skip: bool, replace: bool) -> None:
        self._split = split
        self._preprocessing = preprocessing
        self._skip = skip
        self._replace = replace

    def __getitems__(self, rows: Sequence[int]) -> Loaded:
        fit = self._preprocessing
        images: list[Tensor] = []
        shown: list[int] = []
        unreadable: dict[int, str] = {}
        try:
            for row in rows:
                try:
                    image = fit.fit(self._split.image(row))
                except DataError as error:
                    if not self._skip:
                        raise
                    unreadable[row] = str(error)
                    if not self._replace:
                        continue
                    row, image, more = next_readable(self._split, fit, row)
                    unreadable |= more
                images.append(image)
                shown.append(row)
        except DataError as error:
            return str(error), np.asarray(rows), unreadable
        empty = torch.empty(0, fit.channels, fit.height, fit.width, dtype=torch.uint8)
        return torch.stack(images) if images else empty, np.array(shown, dtype=np.int64), unreadable


class _Once:
    """An iterable of batches that lets DataLoader call iter() on a generator."""

    def __init__(self, batches: Iterable[np.ndarray]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        for rows in self._batches:
            yield rows.tolist()


def _as_it_is(loaded: Loaded) -> Loaded:
    return loaded


def worker_count(loading: Loading) -> int:
    """Worker processes: as set, else `VITREOUS_NUM_WORKERS`, else one less than the cores, 1 to 8."""
    if loading.workers != "auto":
        return loading.workers
    asked = os.environ.get("VITREOUS_NUM_WORKERS")
    if asked is None:
        return min(max(cores() - 1, 1), 8)
    if not asked.isdigit():
        raise ConfigError(f"VITREOUS_NUM_WORKERS is '{asked}'; a whole number, 0 or more, works")
    return int(asked)
