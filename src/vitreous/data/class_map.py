"""One class map for all splits: made from the training images once, enforced everywhere else by name.

A split with a numbering of its own, which shifts when it lacks a class, would train and report without
a word and be wrong; so labels are translated by class name, and what does not fit is an error.
"""

import logging
from collections.abc import Collection, Sequence

import numpy as np

from vitreous.data.labels import images_by_class, is_multi_label
from vitreous.data.loading import Loading
from vitreous.data.records import Records
from vitreous.errors import DataError, did_you_mean
from vitreous.wording import first_few

logger = logging.getLogger("vitreous")


def make_class_map(records: Records, what: str) -> tuple[str, ...]:
    """Names that have images, in the source's order."""
    counts = images_by_class(records.labels, len(records.names))
    empty = [name for name, count in zip(records.names, counts, strict=True) if not count]
    if empty:
        logger.warning(
            "%s: %d of %d named classes have no images and are left out: %s",
            what, len(empty), len(records.names), first_few(empty, 5),
        )  # fmt: skip
    names = tuple(name for name, count in zip(records.names, counts, strict=True) if count)
    if len(names) == 1 and not is_multi_label(records.labels):
        raise DataError(f"{what}: only one class ('{names[0]}'); telling classes apart needs two or more")
    if not names:
        raise DataError(f"{what}: no images found")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{what}: two classes are called '{twice}'; class names must differ")
    return names


def translate(
    records: Records, rows: np.ndarray, class_map: Sequence[str], split: str, what: str
) -> np.ndarray:
    """Labels of the rows as positions in the class map, by class name; of either kind (`labels.py`)."""
    position = {name: at for at, name in enumerate(class_map)}
    table = np.array([position.get(name, -1) for name in records.names], dtype=np.int64)
    if is_multi_label(records.labels):
        used = records.labels[rows]
        unknown = (table < 0) & used.any(axis=0)
        labels = np.zeros((len(rows), len(class_map)), dtype=np.uint8)
        labels[:, table[table >= 0]] = used[:, table >= 0]
    else:
        labels = table[records.labels[rows]]
        unknown = np.isin(np.arange(len(table)), records.labels[rows[labels < 0]])
    if unknown.any():
        strange = sorted(records.names[at] for at in np.flatnonzero(unknown))
        some = first_few((f"'{name}'" for name in strange), 5)
        counts = images_by_class(records.labels[rows], len(records.names))
        present = {name for name, count in zip(records.names, counts, strict=True) if count}
        near = shifted_numbers(present, class_map) or did_you_mean(strange[0], class_map)
        raise DataError(
            f"{what}: the {split} split has {'class' if len(strange) == 1 else 'classes'} {some}, "
            f"unknown from training ({len(class_map)} classes){near}"
        )
    return labels


def shifted_numbers(names: Collection[str], known: Collection[str]) -> str:
    """A clause where classes that are numbers look counted from another start, else an empty string."""
    if not all(name.isdecimal() for name in (*names, *known)) or not names or not known:
        return ""
    apart = min(map(int, names)) - min(map(int, known))
    same_span = max(map(int, names)) - max(map(int, known)) == apart
    return f"; its numbers look shifted by {apart}" if apart and same_span else ""


def check_presence(
    labels: dict[str, np.ndarray], class_map: Sequence[str], loading: Loading, *, enforce: bool
) -> None:
    """Every class in every split, training first."""
    for split, values in labels.items():
        absent = np.flatnonzero(images_by_class(values, len(class_map)) == 0)
        if not len(absent):
            continue
        some = first_few((f"'{class_map[int(at)]}'" for at in absent), 5)
        if enforce and split == "train":
            raise DataError(f"no readable training image of class {some}")
        if enforce and not loading.allow_missing_classes:
            raise DataError(
                f"the {split} split has no image of class {some}; add some, or accept it with "
                "--loading.allow-missing-classes"
            )
        logger.warning("the %s split has no image of class %s", split, some)
