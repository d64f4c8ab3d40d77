"""Class folders in a tar: `images.tar` with `cat/1.jpg`, or `train/cat/1.jpg` and `val/cat/1.jpg`.

The same rules as for a folder (`folder`), and the same images in the same order: whoever packs a folder
trains the same run. One folder around everything does not count (`photos/cat/1.jpg`). Several tars are
one split each, told by their names. The tar is not unpacked, but indexed once (`tar_index`).
"""

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from vitreous.data.cache import content_key
from vitreous.data.folder import ENDINGS
from vitreous.data.imagenet import readable_names
from vitreous.data.records import Records, Source, is_writing
from vitreous.data.split_names import SPLIT_NAMES, by_split
from vitreous.data.tar_index import Sample, TarIndex
from vitreous.data.tar_members import tar_members
from vitreous.errors import DataError


class TarRecords:
    """The images of an index that belong to one split.

    Args:
        index: of the tars.
        part: the folder inside that is this split, with a slash at its end; empty for the whole tar.
        root: the part of every name that does not count, as `photos/`.
    """

    def __init__(self, index: TarIndex, part: str, root: str) -> None:
        below = root + part
        inside = [f"{word}/".startswith(below) for word in index.words]
        classes = [
            word[len(below) :].split("/", 1)[0] if here else ""
            for word, here in zip(index.words, inside, strict=True)
        ]
        folders = sorted(set(classes) - {""})
        self.names = readable_names(folders)
        position = {name: at for at, name in enumerate(folders)}
        label = np.array([position.get(name, -1) for name in classes], dtype=np.int64)[index.word]
        # by class and name, as a folder lists them, whatever their order in the tar
        rows = index.in_order_of_keys(np.flatnonzero(label >= 0))
        self._rows = rows[np.argsort(label[rows], kind="stable")]
        self.labels = label[self._rows]
        self.shards = index.shard[self._rows]
        self.stamp = content_key([index.stamp, below])
        self.identity = content_key([index.identity, part])
        self._index = index
        self._root = len(root)

    def key(self, i: int) -> str:
        """Path inside the tar, with forward slashes."""
        return self._index.key(self._rows[i])[self._root :]

    def where(self, i: int) -> str:
        """Path of the tar, and path inside it."""
        return f"{self._index.path(self._rows[i])}, {self._index.key(self._rows[i])}"

    def open(self, i: int) -> Image.Image:
        """Image i."""
        return self._index.open(self._rows[i])


def tar_folder(paths: Sequence[Path]) -> Source:
    """The parts of class folders in tars.

    Raises:
        DataError: no tar, a damaged one, or no class folders with images in it.
    """
    groups = by_split([(path, path.parent) for path in paths])
    parts: dict[str, Records] = {}
    for split, files in groups.items():
        index = TarIndex(files, _images, "folder")
        root = _root(index.words)
        tops = {word[len(root) :].split("/", 1)[0] for word in index.words if len(word) > len(root)}
        inside = {
            SPLIT_NAMES[top.lower()]: top
            for top in sorted(tops)
            if top.lower() in SPLIT_NAMES and any(word.startswith(f"{root}{top}/") for word in index.words)
        }
        if split == "all" and inside:
            parts |= {name: TarRecords(index, f"{top}/", root) for name, top in inside.items()}
        else:
            part = f"{inside[split]}/" if split in inside else ""
            parts[split] = TarRecords(index, part, root)
        found = {name for records in parts.values() for name in records.names}
        if all(name.lower() in SPLIT_NAMES for name in found):
            raise DataError(
                f"{files[0]}: no class folders with images in it (cat/1.jpg, or train/cat/1.jpg); "
                f"for WebDataset shards type wds:{files[0]}"
            )
    names = {name for records in parts.values() for name in records.names}
    return Source(parts=parts, writing=is_writing(names))


def _images(path: Path, file: BinaryIO) -> Iterator[Sample]:
    for member in tar_members(path, file):
        name = posixpath.normpath(member.name).lstrip("/")
        folder, _, last = name.rpartition("/")
        hidden = any(each.startswith(".") for each in name.split("/"))
        if not hidden and last.lower().endswith(ENDINGS):
            yield Sample(name, member.offset, member.size, folder)


def _root(folders: Sequence[str]) -> str:
    """The folders around everything, `photos/`, or nothing where class or split folders are on top."""
    if not folders:
        return ""
    root = posixpath.commonpath(folders) if all(folders) else ""
    if root in folders:  # images lie in it: it is itself a class
        root = posixpath.dirname(root)
    while root and posixpath.basename(root).lower() in SPLIT_NAMES:
        root = posixpath.dirname(root)
    return f"{root}/" if root else ""
