"""Cutting a validation split from the training images, once: `split.csv` keeps it from moving.

Per class, `share` of the images (rounded, at least one, never all) are drawn from the run's seed. The
file lists every image with its class and split; it is read back instead of cut again, so that a
validation image stays one, and data that no longer match the file are an error, not a new cut.
"""

import csv
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vitreous.data.cache import write_atomically
from vitreous.data.labels import images_by_class, is_multi_label, spelled, strata
from vitreous.data.streams import stream
from vitreous.errors import ConfigError, DataError

logger = logging.getLogger("vitreous")
HEADER = ["image", "label", "split"]


def stratified(labels: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Positions of a stratified part: `share` of each class, at least one image and never all.

    Args:
        labels: int64 (n,); of a class with one image none is drawn.
        share: 0 to 1.
        generator: where the draw comes from.
    """
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(len(members) * share), 1), len(members) - 1)
        chosen.append(generator.permutation(members)[:count])
    return np.sort(np.concatenate(chosen))


def limited(labels: np.ndarray, rows: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """At most `limit` of the rows, in proportion to their classes (or strata) and at least one of each.

    Raises:
        ConfigError: fewer than one image a class.
    """
    labels = strata(labels)
    classes = np.unique(labels[rows])
    if limit < len(classes):
        raise ConfigError(
            f"--loading.limit {limit} is less than one image for each of the {len(classes)} classes; "
            f"{len(classes)} or more works"
        )
    if limit >= len(rows):
        return rows
    generator = stream(seed, "limit")
    shuffled = generator.permutation(rows)
    # rank within the class, 0 to 1: the lowest ranks of all classes come first
    rank = np.empty(len(shuffled))
    for label in classes:
        members = np.flatnonzero(labels[shuffled] == label)
        rank[members] = np.arange(len(members)) / len(members)
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:limit]])


def cut_validation(
    labels: np.ndarray,
    names: Sequence[str],
    keys: Sequence[str],
    *,
    share: float,
    seed: int,
    file: Path | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and for validation, from `file` where it exists, else drawn and saved there.

    Args:
        labels: of all training images, of either kind (`labels.py`).
        names: class names by label.
        keys: each image's name, as the file lists it.
        share: part to cut off, 0 to 1.
        seed: seed of the run.
        file: `split.csv` of the run; None draws without saving.

    Raises:
        DataError: a class too small to cut, or a file that does not list exactly these images.
        ConfigError: a share that is not between 0 and 1.
    """
    if file is not None and file.exists():
        return _read(file, labels, names, keys)
    if not 0 < share < 1:
        raise ConfigError(f"--loading.val-share {share}: a number between 0 and 1, such as 0.1, works")
    counts = images_by_class(labels, len(names))
    if (counts == 1).any() and not is_multi_label(labels):
        single = names[int(np.flatnonzero(counts == 1)[0])]
        raise DataError(
            f"class '{single}' has only 1 training image, so no validation split can be cut; "
            "add a second image, or give a validation split"
        )
    validation = stratified(strata(labels), share, stream(seed, "split"))
    train = np.setdiff1d(np.arange(len(labels)), validation)
    if file is not None:
        held = np.zeros(len(labels), dtype=bool)
        held[validation] = True

        def write(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as out:
                rows = csv.writer(out)
                rows.writerow(HEADER)
                for i, (key, val) in enumerate(zip(keys, held, strict=True)):
                    rows.writerow([key, spelled(labels, names, i), "val" if val else "train"])

        write_atomically(file, write)
    return train, validation


def take_split_file(given: Path, file: Path) -> None:
    """Make a copy of another run's split file the run's own, where it has none yet.

    Raises:
        DataError: it cannot be read.
    """
    if file.exists():
        return
    try:
        content = given.read_bytes()
    except OSError as error:
        raise DataError(f"--loading.split-file {given} cannot be read: {error.strerror}") from None

    def write(path: Path) -> None:
        path.write_bytes(content)

    write_atomically(file, write)


def _read(
    file: Path, labels: np.ndarray, names: Sequence[str], keys: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    listed: dict[str, tuple[str, str]] = {}  # of a million images, so each class and split is one string
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        rows = csv.reader(lines)
        if next(rows, None) != HEADER:
            raise DataError(_NO_SPLIT_FILE.format(file))
        for row in rows:
            if len(row) != 3:
                raise DataError(_NO_SPLIT_FILE.format(file))
            listed[row[0]] = sys.intern(row[1]), sys.intern(row[2])
    strange = {split for _, split in listed.values()} - {"train", "val"}
    if strange:
        raise DataError(f"{file}: '{strange.pop()}' is no split; train and val are")
    wrong = next((key for key in keys if key not in listed), None)
    if wrong is not None:
        raise DataError(f"{file} does not list {wrong}: the data changed since the split was cut; {_ADVICE}")
    if len(listed) != len(keys):
        gone = next(iter(listed.keys() - set(keys)))
        raise DataError(f"{file} lists {gone}, which is no longer there; {_ADVICE}")
    for i, key in enumerate(keys):
        said = spelled(labels, names, i)
        if listed[key][0] != said:
            raise DataError(f"{file} lists {key} as '{listed[key][0]}', the data say '{said}'; {_ADVICE}")
    held = np.array([listed[key][1] == "val" for key in keys])
    return np.flatnonzero(~held), np.flatnonzero(held)


_NO_SPLIT_FILE = "{}: not a split file; it lists image, label, split (train or val)"
_ADVICE = "restore the data, or start a new run"
