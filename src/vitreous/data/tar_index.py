"""Where every image lies in a set of tar files: with it, a tar is read at random like a folder.

One pass over the headers finds (tar, offset, size, key, word) of each image, no pixel is decoded. The
index is an Arrow file in the cache, about 40 bytes an image, and memory-mapped from there: a million
images cost every process a few pages of it, worker processes share one copy, and a second run starts at
once. Since any image can be asked for by number, shuffling, sharding and continuing work as for a folder.
"""

import io
import json
import logging
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from vitreous.data.cache import cache_folder, content_key, keep
from vitreous.data.progress import counted
from vitreous.data.tar_members import BUFFER_BYTES
from vitreous.errors import DataError

logger = logging.getLogger("vitreous")
VERSION = 1
OPEN_FILES = 64
KEYS_AT_ONCE = 1 << 16


class Sample(NamedTuple):
    """An image inside a tar, as a source tells it."""

    key: str
    """Its name there."""
    offset: int
    size: int
    word: str
    """What its label is made from: a class number or name, or the folder that it lies in."""


Samples = Callable[[Path, BinaryIO], Iterator[Sample]]


class TarIndex:
    """The images of some tar files, by number.

    Args:
        paths: the tar files, in their order.
        samples: the images of one of them, given its path and the open file.
        how: whatever `samples` depends on, for the name in the cache.

    Raises:
        DataError: a file that cannot be opened, is no tar, or is damaged.
    """

    def __init__(self, paths: Sequence[Path], samples: Samples, how: str) -> None:
        self.paths: tuple[Path, ...] = tuple(paths)
        try:
            sizes = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be opened ({error.strerror})") from error
        self.identity = content_key(f"{name} {size}" for name, size, _ in sizes)
        self.stamp = content_key([VERSION, how, *(f"{name} {size} {time}" for name, size, time in sizes)])
        places = content_key([self.stamp, *(path.absolute() for path in paths)])
        self._file: Path | None = cache_folder() / "tars" / f"{places}.arrow"
        batch = _mapped(self._file)
        if batch is None:
            made = _made(self.paths, samples)
            if keep(self._file, lambda target: _write(made, target)):
                batch = _mapped(self._file)
            else:
                self._file = None
            batch = batch or made
        self._use(batch)

    def _use(self, batch: pa.RecordBatch) -> None:
        self.words: tuple[str, ...] = tuple(json.loads(batch.schema.metadata[b"words"]))
        self.shard: np.ndarray = batch.column("shard").to_numpy()
        self.word: np.ndarray = batch.column("word").to_numpy()
        self._offset = batch.column("offset").to_numpy()
        self._size = batch.column("size").to_numpy()
        self._keys = batch.column("key")
        self._opened = lru_cache(OPEN_FILES)(_Opened)

    def __getstate__(self) -> dict[str, Any]:
        if self._file is None:
            return self.__dict__ | {"_opened": None}
        return {name: self.__dict__[name] for name in ("paths", "identity", "stamp", "_file")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        if self._file is None:
            self._opened = lru_cache(OPEN_FILES)(_Opened)
            return
        batch = _mapped(self._file)  # a worker process maps the file itself
        if batch is None:
            raise DataError(f"{self._file}: gone while images were read; start again")
        self._use(batch)

    def __len__(self) -> int:
        return len(self.shard)

    def key(self, i: int) -> str:
        """Name of image i inside its tar."""
        return str(self._keys[i].as_py())

    def in_order_of_keys(self, rows: np.ndarray) -> np.ndarray:
        """The given rows, sorted by key."""
        ordered: np.ndarray = rows[pc.sort_indices(self._keys.take(pa.array(rows))).to_numpy()]
        return ordered

    def path(self, i: int) -> Path:
        """The tar that holds image i."""
        return self.paths[int(self.shard[i])]

    def open(self, i: int) -> Image.Image:
        """Image i from its tar; one read, without a search."""
        file = self._opened(self.path(i))
        size = int(self._size[i])
        content = os.pread(file.number, size, int(self._offset[i]))
        if len(content) < size:
            raise OSError("the tar became shorter while it was read")
        return Image.open(io.BytesIO(content))


class _Opened:
    """A file descriptor that closes when nobody uses it any more; threads may read from it at once."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


def _made(paths: Sequence[Path], samples: Samples) -> pa.RecordBatch:
    """The index, by a pass over the headers of every tar; names are held as Arrow, not as Python strings."""
    shard, word, offset, size = array("i"), array("i"), array("q"), array("q")
    words: dict[str, int] = {}
    packed: list[pa.Array] = []
    waiting: list[str] = []
    logger.info("reading the headers of %d tar file%s", len(paths), "s" * (len(paths) != 1))
    for number, path in enumerate(counted(paths, len(paths), "reading tar headers")):
        with path.open("rb", buffering=BUFFER_BYTES) as file:
            for sample in samples(path, file):
                shard.append(number)
                word.append(words.setdefault(sample.word, len(words)))
                offset.append(sample.offset)
                size.append(sample.size)
                waiting.append(sample.key)
        if len(waiting) >= KEYS_AT_ONCE:
            packed.append(pa.array(waiting, pa.large_string()))
            waiting.clear()
    packed.append(pa.array(waiting, pa.large_string()))
    columns = [
        pa.array(np.frombuffer(shard, np.int32)),
        pa.array(np.frombuffer(word, np.int32)),
        pa.array(np.frombuffer(offset, np.int64)),
        pa.array(np.frombuffer(size, np.int64)),
        pa.concat_arrays(packed),
    ]
    batch = pa.record_batch(columns, ["shard", "word", "offset", "size", "key"])
    return batch.replace_schema_metadata({"words": json.dumps(list(words))})


def _write(batch: pa.RecordBatch, target: Path) -> None:
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _mapped(path: Path) -> pa.RecordBatch | None:
    """The memory-mapped index; None where it is absent or torn."""
    if not path.exists():
        return None
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        return reader.get_batch(0)
    except (pa.ArrowInvalid, OSError) as error:  # torn by a crash of the machine
        logger.warning("the cache file %s is damaged; it is made again (%s)", path, error)
        return None
