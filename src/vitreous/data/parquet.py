"""Parquet files in the Hugging Face layout: one column of encoded images, one of labels.

A label is an integer or a text; a column of lists of them gives an image any number of classes.

The image column is a struct with `bytes` (as `datasets` writes) or plain binary; it is found by its
type. Class names come from the schema's `huggingface` metadata, else the label values are the names.
The split is read from file names (`train-00000-of-00002.parquet`), then from folder names.

Labels are read at once. Encoded images are copied to an Arrow file in the cache when the first pixel is
asked for, and memory-mapped from there: parquet cannot hand out row 41,207 without unpacking its row
group, Arrow can. So a set larger than memory works, and worker processes share one copy.
"""

import glob
import io
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from PIL import Image

from vitreous.data.cache import cache_folder, content_key, keep
from vitreous.data.label_column import read_labels
from vitreous.data.labels import is_multi_label
from vitreous.data.parquet_columns import find_columns
from vitreous.data.records import Records, Source, is_writing
from vitreous.data.split_names import by_split
from vitreous.errors import DataError

logger = logging.getLogger("vitreous")
ROWS_PER_BATCH = 1024


class ParquetRecords:
    """The rows of one or several parquet files that make up one split."""

    def __init__(self, files: Sequence[Path], label_column: str | None = None) -> None:
        self._files = [_ParquetFile(path, label_column) for path in files]
        names = self._files[0].names
        for file in self._files:
            if file.names != names:
                raise DataError(
                    f"{file.path}: its class names differ from those of {self._files[0].path.name}; "
                    "files of one split need the same names in the same order"
                )
        common = Path(os.path.commonpath([path.absolute().parent for path in files]))
        self._names = [path.absolute().relative_to(common).as_posix() for path in files]
        labels = [file.labels for file in self._files]
        self._starts = np.cumsum([0, *map(len, labels)])
        self.labels = np.concatenate(labels)
        if names is None:
            values = np.unique(self.labels)
            names = tuple(str(value) for value in values)
            self.labels = np.searchsorted(values, self.labels)
        elif not is_multi_label(self.labels):
            self._check_range(len(names))
        self.names = names
        self.stamp = content_key(file.stamp for file in self._files)
        self.identity = content_key(file.identity for file in self._files)

    def _check_range(self, classes: int) -> None:
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= classes))
        if len(wrong):
            raise DataError(
                f"{self.where(int(wrong[0]))}: label {self.labels[wrong[0]]} has no class name; "
                f"the file names {classes} classes, 0 to {classes - 1}"
            )

    def _find(self, i: int) -> tuple[int, int]:
        """Which file, and which row of it."""
        at = int(np.searchsorted(self._starts, i, side="right")) - 1
        return at, int(i - self._starts[at])

    def key(self, i: int) -> str:
        """File name and row."""
        at, row = self._find(i)
        return f"{self._names[at]} row {row}"

    def where(self, i: int) -> str:
        """File name and row."""
        return self.key(i)

    def open(self, i: int) -> Image.Image:
        """Image of a row, from the memory-mapped copy."""
        at, row = self._find(i)
        return Image.open(io.BytesIO(self._files[at].encoded(row)))


class _ParquetFile:
    """One file: labels in memory, images through an Arrow copy in the cache."""

    def __init__(self, path: Path, label_column: str | None) -> None:
        self.path = path
        status = path.stat()
        self.identity = f"{path.name} {status.st_size}"
        self.stamp = f"{self.identity} {status.st_mtime_ns}"
        try:
            file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).split(". ")[0]
            raise DataError(
                f"{path}: not a readable parquet file ({reason}); a folder of class folders, parquet files, "
                "torch/<name> or digits works"
            ) from error
        with file:
            self._columns = find_columns(path, file.schema_arrow, label_column)
            column = file.read(columns=[self._columns.label]).column(0)
        self.labels, self.names = read_labels(path, column, self._columns)
        self._batches: list[pa.LargeBinaryArray] | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_batches": None, "_lock": None}  # a worker process maps the file itself

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock()}

    def encoded(self, row: int) -> bytes:
        """Bytes of the image file in a row.

        Raises:
            DataError: the row has none.
        """
        with self._lock:  # threads that decode must not all make the copy
            if self._batches is None:
                self._batches = self._encoded_batches()
        value = self._batches[row // ROWS_PER_BATCH][row % ROWS_PER_BATCH]
        if not value.is_valid:
            raise DataError("the row holds no image bytes")
        return bytes(value.as_buffer())

    def _encoded_batches(self) -> list[pa.LargeBinaryArray]:
        """The image column, memory-mapped; in memory where the cache cannot be written."""
        path = cache_folder() / "encoded" / f"{content_key([self.path.absolute(), self.stamp])}.arrow"
        if path.exists():
            try:
                return _mapped(path)
            except pa.ArrowInvalid:  # torn by a crash of the machine
                logger.warning("the cache file %s is damaged; it is made again", path)
        return _mapped(path) if keep(path, self._copy) else list(self._even_batches())

    def _copy(self, target: Path) -> None:
        schema = pa.schema([("bytes", pa.large_binary())])
        with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for column in self._even_batches():
                writer.write_batch(pa.record_batch([column], schema=schema))

    def _even_batches(self) -> Iterator[pa.LargeBinaryArray]:
        """The image column in batches of exactly ROWS_PER_BATCH rows, the last one shorter."""
        waiting: list[pa.Array] = []
        rows = 0
        name = f"{self._columns.image}.bytes" if self._columns.in_struct else self._columns.image
        with pq.ParquetFile(self.path, memory_map=True) as file:
            for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, columns=[name]):
                column = batch.column(0)
                if self._columns.in_struct:
                    column = pa.compute.struct_field(column, "bytes")
                waiting.append(column.cast(pa.large_binary()))
                rows += len(column)
                while rows >= ROWS_PER_BATCH:
                    joined = pa.concat_arrays(waiting)
                    yield joined[:ROWS_PER_BATCH]
                    waiting, rows = [joined[ROWS_PER_BATCH:]], rows - ROWS_PER_BATCH
        if rows:
            yield pa.concat_arrays(waiting)


def _mapped(path: Path) -> list[pa.LargeBinaryArray]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number).column(0) for number in range(reader.num_record_batches)]


def parquet_files(given: Sequence[str]) -> list[tuple[Path, Path]]:
    """Each parquet file that paths, folders and globs name, with the folder that the search began in."""
    found: dict[Path, Path] = {}
    for text in given:
        path = Path(text)
        if path.is_dir():
            found |= dict.fromkeys(sorted(path.rglob("*.parquet")), path)
        elif path.exists():
            found[path] = path.parent
        else:
            parts = path.parts
            plain = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
            base = Path(*parts[:plain])
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 (the pattern may be absolute)
            found |= dict.fromkeys(map(Path, matches), base)
    return list(found.items())


def parquet(files: Sequence[tuple[Path, Path]], label_column: str | None = None) -> Source:
    """The parts of parquet files, each given with the folder below which folder names count.

    Raises:
        DataError: no image or label column, or file names that do not tell the split.
    """
    parts: dict[str, Records] = {
        split: ParquetRecords(paths, label_column) for split, paths in by_split(list(files)).items()
    }
    names = set(next(iter(parts.values())).names)
    return Source(parts=parts, writing=is_writing(names), heeds=("label_column",))
