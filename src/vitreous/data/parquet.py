"""Parquet files in the Hugging Face layout: one column of encoded images, one of integer labels.

The image column is a struct with `bytes` (as `datasets` writes) or plain binary; it is found by its
type. Class names come from the schema's `huggingface` metadata, else the label values are the names.
The split is read from file names (`train-00000-of-00002.parquet`), then from folder names.

Labels are read at once. Encoded images are copied to an Arrow file in the cache when the first pixel is
asked for, and memory-mapped from there: parquet cannot hand out row 41,207 without unpacking its row
group, Arrow can. So a set larger than memory works, and worker processes share one copy.
"""

import glob
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from PIL import Image

from vitreous.data.cache import cache_folder, content_key, write_atomically
from vitreous.data.records import SPLIT_NAMES, Records, Source
from vitreous.errors import DataError, did_you_mean

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
        else:
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
            schema = file.schema_arrow
            features = _features(schema)
            self._column, self._in_struct = _image_column(path, schema)
            label = _label_column(path, schema, features, label_column)
            column = file.read(columns=[label]).column(0)
        if column.null_count:
            raise DataError(f"{path}: column '{label}' has {column.null_count} rows without a label")
        if pa.types.is_integer(column.type):
            self.labels = column.to_numpy().astype(np.int64)
            self.names: tuple[str, ...] | None = _class_names(features, label)
        else:
            words = np.array(column.to_pylist())
            unique, self.labels = np.unique(words, return_inverse=True)
            self.names = tuple(str(word) for word in unique)
        self._batches: list[pa.BinaryArray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_batches": None}  # a worker process maps the file itself

    def encoded(self, row: int) -> bytes:
        """Bytes of the image file in a row.

        Raises:
            DataError: the row has none.
        """
        if self._batches is None:
            self._batches = list(self._mapped())
        value = self._batches[row // ROWS_PER_BATCH][row % ROWS_PER_BATCH]
        if not value.is_valid:
            raise DataError("the row holds no image bytes")
        return bytes(value.as_buffer())

    def _mapped(self) -> Iterator[pa.BinaryArray]:
        path = cache_folder() / "encoded" / f"{content_key([self.path.absolute(), self.stamp])}.arrow"
        if not path.exists():
            write_atomically(path, self._copy)
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
        except pa.ArrowInvalid:  # torn by a crash of the machine: make it again
            write_atomically(path, self._copy)
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number).column(0)

    def _copy(self, target: Path) -> None:
        schema = pa.schema([("bytes", pa.large_binary())])
        with (
            pq.ParquetFile(self.path, memory_map=True) as file,
            pa.OSFile(str(target), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            for column in self._even_batches(file):
                writer.write_batch(pa.record_batch([column], schema=schema))

    def _even_batches(self, file: pq.ParquetFile) -> Iterator[pa.Array]:
        """The image column in batches of exactly ROWS_PER_BATCH rows, the last one shorter."""
        waiting: list[pa.Array] = []
        rows = 0
        name = f"{self._column}.bytes" if self._in_struct else self._column
        for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, columns=[name]):
            column = batch.column(0)
            if self._in_struct:
                column = pa.compute.struct_field(column, "bytes")
            waiting.append(column.cast(pa.large_binary()))
            rows += len(column)
            while rows >= ROWS_PER_BATCH:
                joined = pa.concat_arrays(waiting)
                yield joined[:ROWS_PER_BATCH]
                waiting, rows = [joined[ROWS_PER_BATCH:]], rows - ROWS_PER_BATCH
        if rows:
            yield pa.concat_arrays(waiting)


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
    groups: dict[str, list[Path]] = {}
    for path, base in files:
        groups.setdefault(_split_of(path, base), []).append(path)
    if "all" in groups and len(groups) > 1:
        named = next(split for split in groups if split != "all")
        raise DataError(
            f"{groups['all'][0]}: its name does not say which split it is, while "
            f"{groups[named][0].name} is {named}; put train, validation or test into every file name"
        )
    parts: dict[str, Records] = {
        split: ParquetRecords(paths, label_column) for split, paths in sorted(groups.items())
    }
    names = set(next(iter(parts.values())).names)
    return Source(parts=parts, writing=names == set("0123456789"))


def _split_of(path: Path, base: Path) -> str:
    for name in (path.stem, *reversed(path.parent.relative_to(base).parts)):
        splits = {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_NAMES}
        if len(splits) > 1:
            raise DataError(f"{path}: '{name}' names several splits; use one of train, validation, test")
        if splits:
            return splits.pop()
    return "all"


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Column descriptions that `datasets` stores in the schema; empty where there are none."""
    try:
        text = (schema.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(text)["info"]["features"]
        return features if isinstance(features, dict) else {}
    except (ValueError, KeyError, TypeError):
        return {}


def _class_names(features: dict[str, Any], label: str) -> tuple[str, ...] | None:
    feature = features.get(label)
    if not isinstance(feature, dict) or not isinstance(feature.get("names"), list):
        return None
    return tuple(str(name) for name in feature["names"])


def _image_column(path: Path, schema: pa.Schema) -> tuple[str, bool]:
    """Name of the image column, and whether the bytes sit inside a struct."""

    def is_bytes(type_: pa.DataType) -> bool:
        return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))

    found = []
    for field in schema:
        if pa.types.is_struct(field.type):
            inner = field.type.get_field_index("bytes")
            if inner >= 0 and is_bytes(field.type.field(inner).type):
                found.append((field.name, True))
        elif is_bytes(field.type):
            found.append((field.name, False))
    usual = [entry for entry in found if entry[0] in ("image", "img")]
    if len(found) != 1 and len(usual) == 1:
        found = usual
    if not found:
        raise DataError(
            f"{path}: no image column; a column of encoded image bytes works, "
            f"the columns here are {', '.join(f'{field.name} ({field.type})' for field in schema)}"
        )
    if len(found) > 1:
        raise DataError(
            f"{path}: {len(found)} columns could hold the images ({', '.join(name for name, _ in found)}); "
            "name the right one 'image'"
        )
    return found[0]


def _label_column(path: Path, schema: pa.Schema, features: dict[str, Any], wanted: str | None) -> str:
    def usable(field: pa.Field) -> bool:
        return bool(pa.types.is_integer(field.type) or pa.types.is_string(field.type))

    if wanted is not None:
        if wanted not in schema.names:
            raise DataError(f"{path}: no column '{wanted}'{did_you_mean(wanted, schema.names)}")
        if not usable(schema.field(wanted)):
            raise DataError(f"{path}: column '{wanted}' holds {schema.field(wanted).type}; integers work")
        return wanted
    usual = [name for name in ("label", "labels") if name in schema.names and usable(schema.field(name))]
    if usual:
        return str(usual[0])
    named = [field.name for field in schema if _class_names(features, field.name) and usable(field)]
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    candidates = named or integers
    if len(candidates) == 1:
        return str(candidates[0])
    if not candidates:
        raise DataError(f"{path}: no integer label column among {', '.join(schema.names)}")
    raise DataError(
        f"{path}: {len(candidates)} columns could be the label ({', '.join(candidates)}); "
        "choose one with --loading.label-column"
    )
