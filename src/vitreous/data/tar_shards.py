"""WebDataset shards: `wds:shards/train-{000000..000099}.tar`, an image and its label under one key each.

    000041.jpg 000041.cls    the label is a number in .cls, or a field of .json (`label`, `cls`, `class`)

Shards are indexed once (`tar_index`) and then read at random, so order, sharding and continuing are the
same as for a folder, which a sequential stream with a shuffle buffer cannot give. Patterns and keys are
webdataset's own (`expand_urls`, `base_plus_ext`); a pattern may also be a glob, or an address
(`fetched_shards`). The split is told by the names of the shards. Class names come from
`--loading.class-names`, else from a `classes.json` beside the shards, else a class is called by its number.
"""

import functools
import glob
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from vitreous.data.cache import content_key
from vitreous.data.fetched_shards import fetched, is_elsewhere
from vitreous.data.folder import ENDINGS
from vitreous.data.loading import Loading
from vitreous.data.records import Records, Source, is_writing
from vitreous.data.split_names import SPLIT_NAMES, by_split
from vitreous.data.tar_index import Sample, TarIndex
from vitreous.data.tar_members import Member, tar_members
from vitreous.errors import ConfigError, DataError, did_you_mean
from vitreous.wording import first_few

PREFIX = "wds:"
LABEL_FIELDS = ("label", "cls", "class")
NAMES_FILE = "classes.json"


class ShardRecords:
    """The samples of the shards that make up one split.

    Args:
        paths: its shards.
        label_field: field of .json that holds the label; by default .cls counts, else one of `LABEL_FIELDS`.
        names_file: class names by number; None for none.
    """

    def __init__(self, paths: Sequence[Path], label_field: str | None, names_file: Path | None) -> None:
        index = TarIndex(paths, functools.partial(_samples, label_field=label_field), f"wds {label_field}")
        if not len(index):
            raise DataError(
                f"{paths[0]}: no sample with an image and a label in {len(paths)} shards; "
                "000041.jpg beside 000041.cls or 000041.json works"
            )
        self._index = index
        self.shards = index.shard
        self.stamp = content_key([index.stamp, label_field])
        self.identity = content_key([index.identity, label_field])
        self.names, labels = self._numbered(names_file)
        self.labels = labels[index.word]

    def _numbered(self, names_file: Path | None) -> tuple[tuple[str, ...], np.ndarray]:
        """Class names, and the class of each word."""
        words = self._index.words
        numbers = all(word.isdecimal() for word in words)
        names = tuple(sorted(words, key=int if numbers else str))
        known = {name: number for number, name in enumerate(names)}
        if names_file is None:
            return names, np.array([known[word] for word in words], dtype=np.int64)
        names = _read_names(names_file)
        known = {name: number for number, name in enumerate(names)}
        labels = np.array([int(word) if numbers else known.get(word, -1) for word in words], dtype=np.int64)
        wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
        if len(wrong):
            first = int(np.flatnonzero(np.isin(self._index.word, wrong))[0])
            word = words[self._index.word[first]]
            if numbers:
                raise DataError(
                    f"{self.where(first)}: class number {word} has no name; {names_file} has {len(names)}, "
                    f"0 to {len(names) - 1} work"
                )
            raise DataError(
                f"{self.where(first)}: {names_file} has no class '{word}'{did_you_mean(word, names)}"
            )
        return names, labels

    def key(self, i: int) -> str:
        """Shard and key."""
        return f"{self._index.path(i).name}/{self._index.key(i)}"

    def where(self, i: int) -> str:
        """Path of the shard, and key."""
        return f"{self._index.path(i)}, key {self._index.key(i)}"

    def open(self, i: int) -> Image.Image:
        """Image of a sample."""
        return self._index.open(i)


def tar_shards(given: Sequence[str], loading: Loading) -> Source:
    """The parts of WebDataset shards.

    Args:
        given: patterns with `wds:` in front.
        loading: `label_column`, `class_names` and `download`.

    Raises:
        ConfigError: webdataset is not installed.
        DataError: a shard that is missing or damaged, a sample without a label, a number without a name.
    """
    files = [found for pattern in given for found in _expanded(pattern, download=loading.download)]
    path, times = Counter(path for path, _ in files).most_common(1)[0]
    if times > 1:
        raise DataError(f"{path}: named {times} times; name every shard once")
    parts: dict[str, Records] = {}
    for split, paths in by_split(files).items():
        names_file = _names_file(paths[0], loading.class_names)
        parts[split] = ShardRecords(paths, loading.label_column, names_file)
    names = set(next(iter(parts.values())).names)
    return Source(parts=parts, writing=is_writing(names), heeds=("label_column", "class_names"))


def _expanded(pattern: str, *, download: bool) -> list[tuple[Path, Path]]:
    """The shards of a pattern, each with the folder below which folder names count."""
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise ConfigError(f"{pattern} needs webdataset; pip install 'vitreous[data]' brings it") from error
    names = expand_urls(pattern.removeprefix(PREFIX))
    if any(map(is_elsewhere, names)):
        return [(path, _base(path)) for path in fetched(names, download=download)]
    found: list[Path] = []
    absent: list[Path] = []
    for name in names:
        if glob.has_magic(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (the pattern may be absolute)
            if not matches:
                raise DataError(f"{name}: no shard matches")
            found += map(Path, matches)
        else:
            (found if Path(name).is_file() else absent).append(Path(name))
    if absent:
        raise DataError(
            f"{pattern}: {len(absent)} of {len(absent) + len(found)} shards missing: {first_few(absent)}; "
            "copy them, or change the pattern"
        )
    return [(path, _base(path)) for path in found]


def _base(path: Path) -> Path:
    """The folder below which folder names tell the split: a folder counts where it is called like one."""
    return path.parent.parent if path.parent.name.lower() in SPLIT_NAMES else path.parent


def _samples(path: Path, file: BinaryIO, label_field: str | None) -> Iterator[Sample]:
    """Consecutive members with one key are a sample, as webdataset has it."""
    from webdataset.tariterators import base_plus_ext

    key = ""
    # image, cls and json; each with how long the rest of its ending is: 1.jpg comes before 1.mask.png
    held: dict[str, tuple[int, Member]] = {}

    def sample() -> Iterator[Sample]:
        if "image" in held:
            image = held["image"][1]
            labels = {kind: member for kind, (_, member) in held.items()}
            yield Sample(key, image.offset, image.size, _word(path, file, key, labels, label_field))

    for member in tar_members(path, file):
        name = member.name.removeprefix("./")
        base, ending = base_plus_ext(name)
        if not base or name.rpartition("/")[2].startswith("."):
            continue
        if base != key:
            yield from sample()
            key, held = base, {}
        first, _, last = ending.lower().rpartition(".")
        if f".{last}" not in ENDINGS and last not in ("cls", "json"):
            continue
        kind, more = ("image" if f".{last}" in ENDINGS else last), len(first)
        if kind in held and held[kind][0] < more:
            continue
        if kind in held and held[kind][0] == more:
            raise DataError(f"{path}, key {key}: two files that could be its {kind}; one works")
        held[kind] = more, member
    yield from sample()


def _word(path: Path, file: BinaryIO, key: str, labels: dict[str, Member], label_field: str | None) -> str:
    """The label of a sample as text."""
    kind = "json" if label_field is not None or "cls" not in labels else "cls"
    if kind not in labels:
        raise DataError(f"{path}, key {key}: no label; {key}.{kind} beside the image works")
    member = labels[kind]
    file.seek(member.offset)
    content = file.read(member.size)
    if kind == "cls":
        word = content.decode(errors="replace").strip()
        if not word.isdecimal():
            raise DataError(f"{path}, key {key}: '{word[:40]}' in .cls is no class number")
        return str(int(word))
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise DataError(f"{path}, key {key}: .json cannot be read ({error})") from error
    fields = fields if isinstance(fields, dict) else {}
    names = (label_field,) if label_field is not None else LABEL_FIELDS
    value = next((fields[name] for name in names if name in fields), None)
    if isinstance(value, bool) or not isinstance(value, int | str):
        wanted = " or ".join(f"'{name}'" for name in names)
        raise DataError(
            f"{path}, key {key}: no class number or name in field {wanted} of .json, which has "
            f"{', '.join(fields) or 'none'}; name the right one with --loading.label-column"
        )
    return str(value)


def _names_file(shard: Path, given: str | None) -> Path | None:
    if given is not None:
        return Path(given)
    beside = shard.parent / NAMES_FILE
    return beside if beside.is_file() else None


def _read_names(file: Path) -> tuple[str, ...]:
    """Class names by number: a JSON list, a JSON table of number → name, or text with one a line."""
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else text.splitlines()
        if isinstance(content, dict):
            content = [content[str(number)] for number in range(len(content))]
        if isinstance(content, list) and content and all(isinstance(name, str) for name in content):
            return tuple(content)
    except OSError as error:
        raise DataError(f"{file}: class names cannot be read ({error.strerror})") from error
    except (ValueError, KeyError):
        pass
    raise DataError(f'{file}: no list of class names; ["cat", "dog"] works, or one name a line in a .txt')
