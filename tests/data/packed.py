"""The images of a class folder packed in other ways: in a tar, and as WebDataset shards."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import webdataset

from tests.data.samples import fill

CLASSES = {"ant": 7, "bee": 9, "cat": 8}


def photos(folder: Path) -> Path:
    """A class folder with splits, two sizes of image."""
    fill(folder / "train", CLASSES)
    fill(folder / "val", dict.fromkeys(CLASSES, 2), size=(20, 11))
    return folder


def in_order(folder: Path) -> list[Path]:
    """Its images as a folder source lists them."""
    return sorted(folder.rglob("*.png"), key=lambda path: (path.parent.name, path.name))


def tarred(folder: Path, target: Path, *, around: str = "", backwards: bool = False) -> Path:
    """The folder in one tar; `around` is a folder put around it."""
    with tarfile.open(target, "w") as tar:
        for path in sorted(folder.rglob("*.png"), reverse=backwards):
            tar.add(path, f"{around}{path.relative_to(folder).as_posix()}")
    return target


def sharded(folder: Path, pattern: str, shards: int, *, names: Sequence[str], label: str = "cls") -> str:
    """The images of one split, dealt out to shards in order; returns the pattern to name them by."""
    files = in_order(folder)
    share = -(-len(files) // shards)
    for shard in range(shards):
        path = Path(pattern.format(shard))
        path.parent.mkdir(parents=True, exist_ok=True)
        with webdataset.TarWriter(str(path)) as writer:
            for number, file in enumerate(files[shard * share : (shard + 1) * share]):
                value = names.index(file.parent.name)
                answer = value if label == "cls" else {label: value}
                writer.write({"__key__": f"{number:04}", "png": file.read_bytes(), label_kind(label): answer})
    numbers = f"{{000..{shards - 1:03}}}"
    return "wds:" + pattern.replace("{:03}", numbers)


def label_kind(label: str) -> str:
    return "cls" if label == "cls" else "json"


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """One more member."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def name_classes(folder: Path, names: Sequence[str] = tuple(CLASSES)) -> None:
    """`classes.json` beside shards."""
    (folder / "classes.json").write_text(json.dumps(list(names)))
