"""A folder of class folders: `root/cat/1.jpg`, or `root/train/cat/1.jpg` with `val` and `test` beside it.

Split folders may be spelled train, val, valid, validation or test, in any case. Everything inside a
class folder counts, however deep; hidden files and files without an image's ending do not. ImageNet's
folders get readable names, and its flat validation folder its classes (`imagenet`).
"""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from vitreous.data.cache import content_key
from vitreous.data.imagenet import flat_validation, readable_names
from vitreous.data.records import Records, Source, is_writing
from vitreous.data.split_names import SPLIT_NAMES
from vitreous.errors import DataError

ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
    *(".pnm", ".jp2", ".j2k", ".avif", ".tga", ".ico"),
)


class FolderRecords:
    """Image files by class.

    Args:
        root: the data folder.
        classes: for each class its folder's name and its files, both in order.
    """

    def __init__(self, root: Path, classes: Iterable[tuple[str, Sequence[str]]]) -> None:
        self._root = root
        # a million paths as Python strings would be copied by every worker process, as Arrow they are shared
        files = [pa.array([], pa.large_binary())]  # relative to root, with /
        counts: list[int] = []
        names: list[str] = []
        states = array("q")  # size and time of each
        for name, found in classes:
            for path in found:
                states.extend(_size_and_time(path))
            inside = (os.fsencode(Path(path).relative_to(root).as_posix()) for path in found)
            files.append(pa.array(inside, pa.large_binary()))
            counts.append(len(found))
            names.append(name)
        self.names = readable_names(names)
        self.labels = np.repeat(np.arange(len(names)), counts).astype(np.int64)
        self._files = pa.concat_arrays(files)
        known = np.frombuffer(states, np.int64).reshape(-1, 2)
        self.stamp = content_key(f"{self.key(i)} {size} {time}" for i, (size, time) in enumerate(known))
        self.identity = content_key(f"{self.key(i)} {size}" for i, (size, _) in enumerate(known))

    def key(self, i: int) -> str:
        """Path below the data folder, with forward slashes."""
        return os.fsdecode(self._files[i].as_py())

    def where(self, i: int) -> str:
        """Whole path."""
        return str(self._root / self.key(i))

    def open(self, i: int) -> Image.Image:
        """Read the header; Pillow closes the file when the pixels are loaded."""
        return Image.open(self._root / self.key(i))


def folder(root: Path) -> Source:
    """The parts of a folder.

    Raises:
        DataError: no class folder with an image in it, or the same split twice.
    """
    parts: dict[str, Records] = {}
    spelled: dict[str, str] = {}
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        split = SPLIT_NAMES.get(entry.name.lower())
        if split is None or not _visible_folder(entry):
            continue
        records = FolderRecords(root, _class_folders(Path(entry.path)))
        if not len(records.labels) and split == "val":
            records = FolderRecords(root, flat_validation(root, Path(entry.path)).items())
        if not len(records.labels):
            continue  # a class may be called `test`; then its images lie in it directly
        if split in spelled:
            raise DataError(
                f"{root}: both '{spelled[split]}' and '{entry.name}' are the {split} split; keep one"
            )
        spelled[split] = entry.name
        parts[split] = records
    if not parts:
        everything = FolderRecords(root, _class_folders(root))
        if all(name.lower() in SPLIT_NAMES for name in everything.names):
            raise DataError(_nothing_found(root))
        parts["all"] = everything
    names = {name for records in parts.values() for name in records.names}
    return Source(parts=parts, writing=is_writing(names))


def _class_folders(part: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder in a folder that has images in it, and these."""
    for name in sorted(entry.name for entry in os.scandir(part) if _visible_folder(entry)):
        found = sorted(_images_below(part / name))
        if found:
            yield name, found


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 (a million of them, as below)
    except OSError:
        return -1, 0  # a broken link: the scan will name it
    return status.st_size, status.st_mtime_ns


def _visible_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _images_below(folder: Path) -> list[str]:
    found = []
    for here, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(here, name)  # noqa: PTH118 (a million of them: Path is ten times slower)
            for name in files
            if not name.startswith(".") and name.lower().endswith(ENDINGS)
        ]
    return found


def _nothing_found(root: Path) -> str:
    loose = [path.name for path in root.iterdir() if path.suffix.lower() in ENDINGS]
    split = [path.name for path in root.iterdir() if path.is_dir() and path.name.lower() in SPLIT_NAMES]
    if split:
        return (
            f"{root / split[0]}: no class folders with images in it; put the images of each class into a "
            f"folder named after it ({split[0]}/cat/1.jpg)"
        )
    if loose:
        return (
            f"{root}: {len(loose)} images such as {sorted(loose)[0]} but no class folders; "
            "put the images of each class into a folder named after it"
        )
    return (
        f"{root}: no images found; a folder of class folders with .jpg, .png or other images works "
        "(FOLDER/cat/1.jpg or FOLDER/train/cat/1.jpg), or parquet files"
    )
