"""Which split a file or folder is, told from its name: `train-00000-of-00002.parquet`, `shards/val/…`."""

import re
from pathlib import Path

from vitreous.errors import DataError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_of(path: Path, base: Path) -> str:
    """The split that a file's name tells, else the folders' above it; `all` where nothing does.

    Args:
        path: the file.
        base: folder below which names count.

    Raises:
        DataError: one name tells several splits.
    """
    for name in (path.stem, *reversed(path.parent.relative_to(base).parts)):
        splits = {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_NAMES}
        if len(splits) > 1:
            raise DataError(f"{path}: '{name}' names several splits; use one of train, validation, test")
        if splits:
            return splits.pop()
    return "all"


def by_split(files: list[tuple[Path, Path]]) -> dict[str, list[Path]]:
    """Files under the split that each belongs to.

    Args:
        files: each with the folder below which names count.

    Raises:
        DataError: some tell their split and others do not.
    """
    groups: dict[str, list[Path]] = {}
    for path, base in files:
        groups.setdefault(split_of(path, base), []).append(path)
    if "all" in groups and len(groups) > 1:
        named = next(split for split in groups if split != "all")
        raise DataError(
            f"{groups['all'][0]}: its name does not say which split it is, while "
            f"{groups[named][0].name} is {named}; put train, validation or test into every file name"
        )
    return dict(sorted(groups.items()))
