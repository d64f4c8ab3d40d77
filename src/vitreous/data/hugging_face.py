"""Data sets of the Hugging Face library: `hf:NAME` on the hub, or a folder on this machine.

    hf:cifar10, hf:owner/name, hf:owner/name:configuration    the hub; the only source that uses the network
    saved/                                                    a folder that `save_to_disk` wrote
    hf:folder/                                                a folder that `load_dataset` understands

`datasets` memory-maps Arrow files, so any row is read by its number and worker processes share one copy.
The image and the label column are found as in parquet files; class names are those of a `ClassLabel`. What
comes from the hub lies in Hugging Face's own cache (`HF_HOME`), where other programs find it too; with
`VITREOUS_OFFLINE` set, only what is there already is used.
"""

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vitreous.data.cache import cache_folder, content_key
from vitreous.data.label_column import read_labels
from vitreous.data.labels import is_multi_label
from vitreous.data.parquet_columns import find_columns
from vitreous.data.records import Records, Source, is_writing
from vitreous.data.split_names import SPLIT_NAMES
from vitreous.errors import ConfigError, DataError

logger = logging.getLogger("vitreous")
PREFIX = "hf:"


class HuggingFaceRecords:
    """The rows of one split.

    Args:
        given: the data argument, for messages.
        split: as the data set calls it.
        dataset: a `datasets.Dataset`.
        label_column: where the user named it.
    """

    def __init__(self, given: str, split: str, dataset: Any, label_column: str | None) -> None:
        self._place = f"{given} {split}"
        self._split = split
        columns = find_columns(Path(given), dataset.features.arrow_schema, label_column)
        self._rows = dataset.select_columns([columns.image]).with_format("arrow")
        self._in_struct = columns.in_struct
        column = dataset.select_columns([columns.label]).with_format("arrow")[:].column(0)
        labels, names = read_labels(Path(given), column, columns)
        self.unlabelled = names is not None and not is_multi_label(labels) and bool((labels < 0).all())
        if names is None:
            unique, labels = np.unique(labels, return_inverse=True)
            names = tuple(str(value) for value in unique)
        elif not is_multi_label(labels) and not self.unlabelled:
            self._check_range(labels, len(names))
        self.names, self.labels = names, labels
        files = [Path(each["filename"]) for each in dataset.cache_files]
        sizes = [f"{file.name} {file.stat().st_size}" for file in files]
        times = [file.stat().st_mtime_ns for file in files]
        self.identity = content_key([dataset._fingerprint, len(dataset), columns, *sizes])
        self.stamp = content_key([self.identity, *times])

    def _check_range(self, labels: np.ndarray, classes: int) -> None:
        wrong = np.flatnonzero((labels < 0) | (labels >= classes))
        if len(wrong):
            raise DataError(
                f"{self.where(int(wrong[0]))}: label {labels[wrong[0]]} has no class name; "
                f"the data set names {classes} classes, 0 to {classes - 1}"
            )

    def key(self, i: int) -> str:
        """Split and row."""
        return f"{self._split} row {i}"

    def where(self, i: int) -> str:
        """Data set, split and row."""
        return f"{self._place} row {i}"

    def open(self, i: int) -> Image.Image:
        """Image of a row: its bytes, or the file that it names."""
        value = self._rows[i].column(0)[0].as_py()
        path = value.get("path") if self._in_struct and value is not None else None
        content = value["bytes"] if self._in_struct and value is not None else value
        if content is not None:
            return Image.open(io.BytesIO(content))
        if path is None:
            raise DataError("the row holds no image")
        return Image.open(path)


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    written = ("dataset_dict.json",), ("state.json", "dataset_info.json")
    return any(all((folder / name).is_file() for name in names) for names in written)


def hugging_face(given: str, label_column: str | None = None) -> Source:
    """The parts of a data set.

    Args:
        given: a hub name or a folder with `hf:` in front, or a folder that `save_to_disk` wrote.
        label_column: where the user named it.

    Raises:
        ConfigError: `datasets` is not installed.
        DataError: no such data set, or no images or labels in it.
    """
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(f"{given} needs datasets; pip install 'vitreous[data]' brings it") from error
    loaded = _loaded(datasets, given)
    splits = loaded if isinstance(loaded, dict) else {"all": loaded}
    parts: dict[str, Records] = {}
    for name, dataset in splits.items():
        split = SPLIT_NAMES.get(name.lower(), "all" if len(splits) == 1 else None)
        if split is None:
            logger.warning("%s: split '%s' is left out; train, validation and test are used", given, name)
            continue
        records = HuggingFaceRecords(given, name, dataset, label_column)
        if records.unlabelled:
            logger.warning("%s: split '%s' is left out, it has no labels", given, name)
            continue
        parts[split] = records
    if not parts:
        raise DataError(
            f"{given}: no labelled split among {', '.join(splits)}; train, validation and test work"
        )
    names = set(next(iter(parts.values())).names)
    return Source(parts=parts, writing=is_writing(names), heeds=("label_column",))


def _loaded(datasets: Any, given: str) -> Any:
    name = given.removeprefix(PREFIX)
    folder = Path(name)
    try:
        if folder.is_dir() and is_saved(folder):
            return datasets.load_from_disk(name)
        if folder.is_dir():
            return datasets.load_dataset(name, cache_dir=str(cache_folder() / "huggingface"))
    except Exception as error:  # the library raises nearly anything
        raise DataError(f"{given}: datasets cannot read this folder ({_first_line(error)})") from error
    name, _, configuration = name.partition(":")
    with _offline(datasets, os.environ.get("VITREOUS_OFFLINE") == "1") as offline:
        try:
            return datasets.load_dataset(name, configuration or None)
        except Exception as error:
            if offline:
                raise DataError(
                    f"{given}: not in Hugging Face's cache on this machine, and the hub is not asked while "
                    "VITREOUS_OFFLINE or HF_HUB_OFFLINE is 1"
                ) from error
            raise DataError(
                f"{given}: no folder here, and the Hugging Face hub does not give it ({_first_line(error)})"
            ) from error


@contextlib.contextmanager
def _offline(datasets: Any, wanted: bool) -> Iterator[bool]:
    """Whether the hub stays unasked; the two libraries read their variable at import, too early for ours."""
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = (each or wanted for each in before)
    try:
        yield wanted or any(before)
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
