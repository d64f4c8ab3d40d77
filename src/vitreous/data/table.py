"""A CSV file that lists images: `image,label` for one class each, `image,labels` for any number.

    image,labels,split
    photos/0017.jpg,dog;ball,train
    photos/0018.jpg,,val

Paths are relative to the file. Several classes are joined by `;`, an empty cell means none of them. `split`
(train, val or test, as for folders) is optional; without it, validation is cut from all images.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from vitreous.data.cache import content_key
from vitreous.data.records import Records, Source, is_writing
from vitreous.data.split_names import SPLIT_NAMES
from vitreous.errors import DataError, did_you_mean

SEPARATOR = ";"


class TableRecords:
    """The images of one split of a table.

    Args:
        root: folder that paths are relative to.
        files: path of each image, as the table spells it.
        labels: of either kind (`labels.py`).
        names: all class names of the table.
    """

    def __init__(self, root: Path, files: list[str], labels: np.ndarray, names: tuple[str, ...]) -> None:
        self._root = root
        self._files = files
        self.labels = labels
        self.names = names
        sizes = []
        times = []
        for file, label in zip(files, labels.tolist(), strict=True):
            try:
                status = (root / file).stat()
                size, time = status.st_size, status.st_mtime_ns
            except OSError:
                size, time = -1, 0  # the scan will name it
            sizes.append(f"{file} {size} {label}")
            times.append(f"{sizes[-1]} {time}")
        self.stamp = content_key(times)
        self.identity = content_key(sizes)

    def key(self, i: int) -> str:
        """Path as the table spells it."""
        return self._files[i]

    def where(self, i: int) -> str:
        """Whole path."""
        return str(self._root / self._files[i])

    def open(self, i: int) -> Image.Image:
        """Read the header; Pillow closes the file when the pixels are loaded."""
        return Image.open(self._root / self._files[i])


def table(path: Path) -> Source:
    """The parts of a CSV file.

    Raises:
        DataError: not such a table; says the line and what would work.
    """
    rows = _read(path)
    several = "labels" in rows[0]
    said = [_words(row["labels"]) if several else [row["label"].strip()] for row in rows]
    if not several and [""] in said:
        raise DataError(f"{path} line {said.index(['']) + 2}: no label; every image needs one")
    names = tuple(sorted({word for words in said for word in words}))
    place = {name: at for at, name in enumerate(names)}
    memberships = np.zeros((len(rows), len(names)), dtype=np.uint8)
    for row, words in enumerate(said):
        memberships[row, [place[word] for word in words]] = 1
    labels = memberships if several else memberships.argmax(axis=1).astype(np.int64)
    splits = np.array([_split(path, line, row) for line, row in enumerate(rows, 2)])
    parts: dict[str, Records] = {}
    for split in dict.fromkeys(splits.tolist()):
        mine = np.flatnonzero(splits == split)
        files = [rows[int(at)]["image"].strip() for at in mine]
        parts[split] = TableRecords(path.parent, files, labels[mine], names)
    return Source(parts=parts, writing=is_writing(names))


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error
    if "image" not in columns or ("label" in columns) == ("labels" in columns):
        near = did_you_mean("image", columns) if "image" not in columns else ""
        raise DataError(
            f"{path}: its first line must name the columns image and either label (one class each) or labels "
            f"(any number, joined by {SEPARATOR}); it has {', '.join(columns) or 'none'}{near}"
        )
    if not rows:
        raise DataError(f"{path}: no images listed")
    for line, row in enumerate(rows, 2):
        if None in row or None in row.values() or not row["image"].strip():
            raise DataError(f"{path} line {line}: {len(columns)} values and an image are expected")
    files = Counter(row["image"].strip() for row in rows)
    name, times = files.most_common(1)[0]
    if times > 1:
        raise DataError(f"{path}: {name} is listed {times} times; give each image one line")
    return rows


def _words(cell: str) -> list[str]:
    return [word.strip() for word in cell.split(SEPARATOR) if word.strip()]


def _split(path: Path, line: int, row: Mapping[str, str]) -> str:
    if "split" not in row:
        return "all"
    split = SPLIT_NAMES.get(row["split"].strip().lower())
    if split is None:
        raise DataError(f"{path} line {line}: '{row['split']}' is no split; train, val and test are")
    return split
