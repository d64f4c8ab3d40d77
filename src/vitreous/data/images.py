"""One `data` argument to labelled splits: open, map classes, cut validation, look at every image.

    data = open_images("photos", loading=Loading(), seed=0, split_file=run / "split.csv")
    print(data.scan)              # 1,200 train + 300 val images, 3 classes …
    data.splits["train"].image(0) # a Pillow image, upright, grey or RGB

The class map is made from the training images once and every other split is translated to it by class
*name*; a split with its own numbering, which shifts when a class is missing, cannot happen.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vitreous.data.cache import content_key
from vitreous.data.class_map import check_presence, make_class_map, translate
from vitreous.data.cut import cut_validation, limited, take_split_file
from vitreous.data.decode import to_channels, upright, why_unreadable
from vitreous.data.labels import images_by_class, is_multi_label
from vitreous.data.loading import Loading
from vitreous.data.records import Records, Source
from vitreous.data.scan import COLOUR, UNREADABLE, Findings, Scan, look, refuse_unreadable, spread, to_look_at
from vitreous.data.sources import find_source
from vitreous.data.val_is_test import refuse_test_as_val
from vitreous.errors import ConfigError, DataError

logger = logging.getLogger("vitreous")
Data = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Labelled images of one split, decoded when asked for.

    Args:
        records: where they come from.
        rows: int64 (n,): positions in the records.
        labels: int64 (n,): positions in the class map; or uint8 (n, classes), where an image may have any
            number of classes.
        channels: 1 or 3, of the images handed out.
        pool: int64: all rows of the records that any split of this data set uses; what is decoded
            once is decoded for all of them.
        checked: every image was decoded before, or only some of them.
    """

    records: Records
    rows: np.ndarray
    labels: np.ndarray
    channels: int
    pool: np.ndarray
    checked: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        several = "any number of classes each" if self.multi_label else "one class each"
        return f"ImageSplit({len(self):,} images, {several})"

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of classes."""
        return is_multi_label(self.labels)

    def image(self, i: int) -> Image.Image:
        """Image i, upright, mode `L` or `RGB` by `channels`.

        Raises:
            DataError: it cannot be read; names it.
        """
        try:
            with self.records.open(int(self.rows[i])) as opened:
                return to_channels(upright(opened), self.channels)
        except Exception as error:  # readers raise nearly anything
            reason = why_unreadable(error)
            raise DataError(f"{self.where(i)}: cannot be read as an image ({reason})") from error

    def where(self, i: int) -> str:
        """Place of image i: a path, or `file.parquet row 12`."""
        return self.records.where(int(self.rows[i]))

    def key(self, i: int) -> str:
        """Name of image i inside the data, independent of where the data lie."""
        return self.records.key(int(self.rows[i]))


@dataclass(frozen=True, eq=False)
class ImageData:
    """Splits of one data set under one class map.

    Args:
        classes: names in the order of the labels.
        splits: by name: `train`, `val`, `test`; those that were asked for.
        fingerprint: equal for equal data, wherever they are stored.
        scan: what was found in them.
        writing: letters or digits, which must not be mirrored.
    """

    classes: tuple[str, ...]
    splits: dict[str, ImageSplit]
    fingerprint: str
    scan: Scan
    writing: bool = False

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of classes."""
        return next(iter(self.splits.values())).multi_label

    def __repr__(self) -> str:
        return f"ImageData({self.scan})"


def open_images(
    data: Data,
    *,
    loading: Loading | None = None,
    seed: int = 0,
    split_file: Path | None = None,
    classes: Sequence[str] | None = None,
    need: Sequence[str] = ("train", "val"),
) -> ImageData:
    """Open a data set, check it, and hand out the splits that are needed.

    Args:
        data: folder of class folders or tars of them, parquet files (paths, folders or globs), `wds:` and a
            pattern of shards, `hf:` and a name, `torch/<name>` or `digits`.
        loading: how images are read.
        seed: start of the streams that cut validation and apply `limit`.
        split_file: where a cut validation split is saved, or read back if the file is there.
        classes: an existing class map to enforce (as evaluation does); by default made from `train`.
            With it, data without named splits are all of `need[0]`, unless `split_file` is there.
        need: splits to open; only their images are looked at.

    Raises:
        DataError: data that are not there, cannot be read or do not fit together; says which.
        ConfigError: settings that cannot be used.
    """
    loading = loading or Loading()
    if split_file is not None and loading.split_file is not None:
        take_split_file(Path(loading.split_file), split_file)
    given = [str(data)] if isinstance(data, str | os.PathLike) else [str(each) for each in data]
    source = find_source(given, loading)
    what = " ".join(given)
    for name in ("label_column", "class_names") if classes is None else ():
        if getattr(loading, name) is not None and name not in source.heeds:
            raise ConfigError(f"loading.{name} has no effect on {what}, where nothing is looked up by it")
    parts = _named_parts(source, need, classes, split_file)
    if "val" in need and classes is None:
        refuse_test_as_val(parts, what)
    labels_from = parts.get("train") or next(iter(parts.values()))
    class_map = tuple(classes) if classes is not None else make_class_map(labels_from, what)
    chosen = _rows(parts, what, need, loading, seed, split_file, enforce=classes is not None)
    looked = {split: to_look_at(rows, loading.look, seed) for split, (_, rows) in chosen.items()}
    findings = {
        split: look(parts[part], looked[split], f"{split} images") for split, (part, _) in chosen.items()
    }
    rows, unreadable = _readable(chosen, looked, parts, findings, loading)
    labels = {
        split: translate(parts[chosen[split][0]], rows[split], class_map, split, what) for split in rows
    }
    check_presence(labels, class_map, loading, enforce=classes is None)
    seen = {split: each[findings[split].state[each] != UNREADABLE] for split, each in looked.items()}
    grey = not any((findings[split].state[seen[split]] == COLOUR).any() for split in rows)
    channels = 1 if grey else 3
    splits = {}
    for split, (part, _) in chosen.items():
        pool = np.unique(np.concatenate([rows[other] for other in rows if chosen[other][0] == part]))
        checked = len(looked[split]) == len(chosen[split][1])
        splits[split] = ImageSplit(parts[part], rows[split], labels[split], channels, pool, checked)
    counted = labels.get("train", next(iter(labels.values())))
    counts = images_by_class(counted, len(class_map))
    scan = Scan(
        images={split: len(rows[split]) for split in rows},
        classes=len(class_map),
        heights=spread(findings[split].height[seen[split]] for split in rows),
        widths=spread(findings[split].width[seen[split]] for split in rows),
        channels=channels,
        smallest_class=(class_map[int(counts.argmin())], int(counts.min())),
        largest_class=(class_map[int(counts.argmax())], int(counts.max())),
        unreadable=tuple(unreadable),
        cut="val" in chosen and chosen["val"][0] == "train",
        looked=None if all(each.checked for each in splits.values()) else sum(map(len, looked.values())),
    )
    fingerprint = content_key(
        f"{split} {parts[part].identity} {content_key([rows[split].tobytes()])}"
        for split, (part, _) in chosen.items()
    )
    return ImageData(class_map, splits, fingerprint, scan, source.writing)


def _named_parts(
    source: Source, need: Sequence[str], classes: Sequence[str] | None, split_file: Path | None
) -> dict[str, Records]:
    """The parts under the names train, val and test."""
    if "all" not in source.parts:
        return source.parts
    cut_before = split_file is not None and split_file.exists()
    return {need[0] if classes is not None and not cut_before else "train": source.parts["all"]}


def _rows(
    parts: dict[str, Records],
    what: str,
    need: Sequence[str],
    loading: Loading,
    seed: int,
    split_file: Path | None,
    *,
    enforce: bool,
) -> dict[str, tuple[str, np.ndarray]]:
    """For each needed split, the part it is taken from and its rows."""
    rows = {part: np.arange(len(records.labels)) for part, records in parts.items()}
    source = {part: part for part in parts}
    saved = split_file is not None and split_file.exists()
    # evaluation without the run's split file must not cut: it would draw images that were trained on
    if "val" in need and "val" not in parts and "train" in parts and (saved or not enforce):
        train = parts["train"]
        keys = [train.key(i) for i in range(len(train.labels))]
        rows["train"], rows["val"] = cut_validation(
            train.labels, train.names, keys, share=loading.val_share, seed=seed, file=split_file
        )
        source["val"] = "train"
    if loading.limit is not None and "train" in rows and not enforce:
        rows["train"] = limited(parts["train"].labels, rows["train"], loading.limit, seed)
    for split in need:
        if split not in rows:
            raise DataError(f"{what}: no {split} split; there is {' and '.join(sorted(rows))}")
    return {split: (source[split], rows[split]) for split in need}


def _readable(
    chosen: dict[str, tuple[str, np.ndarray]],
    looked: dict[str, np.ndarray],
    parts: dict[str, Records],
    findings: dict[str, Findings],
    loading: Loading,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Rows that can be read, and the places of those that cannot.

    Where only some were looked at, all rows stay: which can be read must not depend on the sample, and
    batches replace the others (`stand_in`).
    """
    kept: dict[str, np.ndarray] = {}
    unreadable: list[str] = []
    for split, (part, rows) in chosen.items():
        seen = looked[split]
        bad = seen[findings[split].state[seen] == UNREADABLE]
        places = [parts[part].where(int(i)) for i in bad]
        if places and not loading.skip_unreadable:
            refuse_unreadable(places, split)
        everything = len(seen) == len(rows)
        for place in places:
            logger.warning("%s, cannot be read: %s", "left out" if everything else "to be replaced", place)
        unreadable += places
        kept[split] = np.setdiff1d(rows, bad) if everything else rows
        if len(bad) == len(seen):
            raise DataError(f"no readable image in the {split} split")
    return kept, unreadable
