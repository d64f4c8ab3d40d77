"""One class map for all splits: made from the training images once, enforced everywhere else by name.

A split with a numbering of its own, which shifts when it lacks a class, would train and report without
a word and be wrong; so labels are translated by class name, and what does not fit is an error.
"""

import logging
from collections.abc import Sequence

import numpy as np

from vitreous.data.loading import Loading
from vitreous.data.records import Records
from vitreous.errors import DataError, did_you_mean

logger = logging.getLogger("vitreous")


def make_class_map(records: Records, what: str) -> tuple[str, ...]:
    """Names that have images, in the source's order."""
    counts = np.bincount(records.labels, minlength=len(records.names))
    empty = [name for name, count in zip(records.names, counts, strict=True) if not count]
    if empty:
        logger.warning(
            "%s: %d of %d named classes have no images and are left out: %s",
            what, len(empty), len(records.names), ", ".join(empty[:5]) + (" …" if len(empty) > 5 else ""),
        )  # fmt: skip
    names = tuple(name for name, count in zip(records.names, counts, strict=True) if count)
    if len(names) == 1:
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
    """Labels of the rows as positions in the class map, by class name."""
    position = {name: at for at, name in enumerate(class_map)}
    table = np.array([position.get(name, -1) for name in records.names], dtype=np.int64)
    labels: np.ndarray = table[records.labels[rows]]
    if (labels < 0).any():
        strange = sorted({records.names[at] for at in records.labels[rows[labels < 0]]})
        some = ", ".join(f"'{name}'" for name in strange[:5]) + (" …" if len(strange) > 5 else "")
        near = did_you_mean(strange[0], class_map)
        raise DataError(
            f"{what}: the {split} split has {'class' if len(strange) == 1 else 'classes'} {some}, "
            f"unknown from training ({len(class_map)} classes){near}"
        )
    return labels


def check_presence(
    labels: dict[str, np.ndarray], class_map: Sequence[str], loading: Loading, *, enforce: bool
) -> None:
    """Every class in every split, training first."""
    for split, values in labels.items():
        absent = np.setdiff1d(np.arange(len(class_map)), values)
        if not len(absent):
            continue
        some = ", ".join(f"'{class_map[at]}'" for at in absent[:5]) + (" …" if len(absent) > 5 else "")
        if enforce and split == "train":
            raise DataError(f"no readable training image of class {some}")
        if enforce and not loading.allow_missing_classes:
            raise DataError(
                f"the {split} split has no image of class {some}; add some, or accept it with "
                "--loading.allow-missing-classes"
            )
        logger.warning("the %s split has no image of class %s", split, some)
