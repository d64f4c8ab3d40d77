"""Resident loading: the whole set decoded once to uint8, kept in the cache, gathered by index.

The decoded images are one safetensors file, memory-mapped, so that runs on the same machine share it
and a second start decodes nothing. A checksum in its header tells a damaged file, which is made again.
On a GPU with room the images live there, and a batch costs one gather.
"""

import json
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vitreous.data.batch import Batch
from vitreous.data.cache import cache_folder, content_key, keep
from vitreous.data.images import ImageSplit
from vitreous.data.memory import device_bytes
from vitreous.data.order import BatchOrder
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.sampling import Sampling
from vitreous.data.shard import Shard
from vitreous.data.stand_in import stand_ins
from vitreous.data.threads import in_threads
from vitreous.errors import DataError

logger = logging.getLogger("vitreous")
CHUNK_BYTES = 1 << 26


class ResidentBatches:
    """Batches gathered from decoded images in memory.

    Args:
        split: the images.
        preprocessing: size and channels at which they are kept.
        batch_size: images a batch.
        seed: seed of the run.
        device: where batches are wanted.
        train: shuffled and endless; else only `all` is of use.
        reason: why this path was taken.
        sampling: how often an epoch shows each image; None for once.
        shard: which part of every batch is handed out; all of it by default.
        skip: replace unreadable images in training and leave them out in evaluation, instead of stopping.
    """

    path = "resident"

    def __init__(
        self,
        split: ImageSplit,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        train: bool,
        reason: str = "asked for",
        sampling: Sampling | None = None,
        shard: Shard | None = None,
        skip: bool = False,
    ) -> None:
        self.reason = reason
        self._batch_size = batch_size
        self._device = device
        self._shard = shard or Shard()
        self._order = (
            BatchOrder(len(split), batch_size, seed, sampling or Sampling(), self._shard) if train else None
        )
        self._images, rows = decoded(split, preprocessing, share=train, skip=skip)
        unreadable = (rows < 0).numpy()
        self.unreadable: set[int] | None = set(np.flatnonzero(unreadable).tolist()) if skip else None
        self._stand_in, self._readable = None, None
        if self.unreadable:
            logger.warning(
                "%d unreadable images are %s", len(self.unreadable), "replaced" if train else "left out"
            )
            if train:
                self._stand_in = torch.from_numpy(stand_ins(unreadable)).to(device)
            self._readable = torch.from_numpy(~unreadable).to(device)
        self._labels = torch.from_numpy(split.labels).to(device)
        if device.type != "cpu" and self._images[0].nbytes * len(rows) <= device_bytes(device) // 2:
            self._images, rows = self._images[rows].to(device), torch.arange(len(rows))
        self._rows = rows.to(self._images.device)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch of training, or in `all`."""
        if self._order is not None:
            return self._order.steps_per_epoch
        return -(-len(self._labels) // self._batch_size)

    def from_step(self, step: int) -> Iterator[Batch]:
        """Batches of training from `step` on, without end."""
        assert self._order is not None, "made with train=False"
        epoch, inside = divmod(step, self.steps_per_epoch)
        while True:
            # the whole epoch's order is moved at once: a copy to the GPU a step would wait for it
            order = torch.from_numpy(self._order.epoch(epoch)).to(self._device)
            for index in order[inside:]:
                yield self._batch(index)
            epoch, inside = epoch + 1, 0

    def all(self) -> Iterator[Batch]:
        """Every image once, in order; the last batch may be smaller, and of several processes' shares one
        may be empty."""
        for index in torch.arange(len(self._labels), device=self._device).split(self._batch_size):
            yield self._batch(index.tensor_split(self._shard.size)[self._shard.rank])

    def _batch(self, index: Tensor) -> Batch:
        if self._readable is not None:
            index = index[self._readable[index]] if self._stand_in is None else self._stand_in[index]
        rows = self._rows[index.to(self._rows.device)]
        images = self._images.index_select(0, rows)
        return Batch(images.to(self._device, non_blocking=True), self._labels[index], index)


def decoded(
    split: ImageSplit, preprocessing: Preprocessing, *, share: bool, skip: bool = False
) -> tuple[Tensor, Tensor]:
    """All images of a split as uint8 (n, channels, height, width), and the row of each image in them.

    The row of an unreadable image, where such are skipped, is -1.

    Args:
        split: the images.
        preprocessing: size and channels; mean and standard deviation do not matter here.
        share: decode with them whatever other splits need from the same records.
        skip: go on where an image cannot be read.

    Raises:
        DataError: an image that can no longer be read; names it.
    """
    shared = _file(split, split.pool, preprocessing)
    pool = split.pool if share or shared.exists() else split.rows
    file = shared if pool is split.pool else _file(split, pool, preprocessing)
    shape = (len(pool), preprocessing.channels, preprocessing.height, preprocessing.width)
    found = _read(file, shape)
    if found is None:
        found = fresh, unreadable = _decode(split, pool, preprocessing, shape, skip=skip)
        header = {"crc32": str(_checksum(fresh)), "unreadable": json.dumps(unreadable)}
        if keep(file, lambda path: save_file({"images": fresh}, path, metadata=header)):
            found = _read(file, shape, check=False)
            assert found is not None
    images, unreadable = found
    rows = np.searchsorted(pool, split.rows)
    missing = np.isin(rows, unreadable)
    if missing.any() and not skip:
        split.image(int(np.flatnonzero(missing)[0]))  # raises and names it
    rows[missing] = -1
    return images, torch.from_numpy(rows)


def _file(split: ImageSplit, rows: np.ndarray, preprocessing: Preprocessing) -> Path:
    how = {name: value for name, value in preprocessing.to_json().items() if name not in ("mean", "std")}
    key = content_key([split.records.stamp, rows.tobytes(), json.dumps(how), PIL.__version__])
    return cache_folder() / "decoded" / f"{key}.safetensors"


def _decode(
    split: ImageSplit, pool: np.ndarray, preprocessing: Preprocessing, shape: tuple[int, ...], *, skip: bool
) -> tuple[Tensor, list[int]]:
    images = torch.empty(shape, dtype=torch.uint8)
    unreadable: list[int] = []
    everything = ImageSplit(split.records, pool, np.zeros_like(pool), split.channels, pool)

    def one(i: int) -> None:
        try:
            images[i] = preprocessing.fit(everything.image(i))
        except DataError as error:
            if not skip:
                raise
            images[i] = 0
            unreadable.append(i)
            logger.warning("%s", error)

    for _ in in_threads(one, np.arange(len(pool)), "decoding images"):
        pass
    return images, sorted(unreadable)


def _read(file: Path, shape: tuple[int, ...], *, check: bool = True) -> tuple[Tensor, list[int]] | None:
    """The memory-mapped images of a cache file and which could not be read, or None where it is absent or
    damaged."""
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            images: Tensor = stored.get_tensor("images")
            header = stored.metadata() or {}
        if tuple(images.shape) == shape and (not check or header.get("crc32") == str(_checksum(images))):
            return images, json.loads(header.get("unreadable", "[]"))
    except (SafetensorError, OSError, ValueError) as error:
        logger.debug("%s: %s", file, error)
    logger.warning("the cache file %s is damaged; the images are decoded again", file)
    return None


def _checksum(images: Tensor) -> int:
    flat = images.reshape(-1).numpy()
    value = 0
    for at in range(0, len(flat), CHUNK_BYTES):
        value = zlib.crc32(flat[at : at + CHUNK_BYTES].data, value)
    return value
