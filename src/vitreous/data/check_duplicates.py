"""Checks of pictures that occur twice: inside a split, across splits, and under different labels.

Equal means equal decoded pixels (so equal files as well, and files that differ in metadata alone). Near
means alike by `near_duplicates`. A test image that was trained on is answered from memory: where more
than half a per cent of a split are such, which is what people compare papers by, that is an error.
"""

from collections.abc import Mapping

import numpy as np

from vitreous.data.examine import Examined
from vitreous.data.findings import ERROR, OK, WARNING, Finding, Level, share
from vitreous.data.near_duplicates import FLATTEST, look_hash, near_pairs
from vitreous.wording import first_few, plural

FALSIFIES = 0.005
MANY = 0.01
"""Near duplicates up to this share are told, not warned of: in sets of small pictures some look alike."""


class _Pool:
    """All readable images of all splits under one numbering."""

    def __init__(self, splits: Mapping[str, Examined]) -> None:
        self.splits = list(splits.values())
        self.split = np.concatenate([np.full(len(each.rows), at) for at, each in enumerate(self.splits)])
        self.row = np.concatenate([each.rows for each in self.splits])
        self.digest = np.concatenate([each.digest[each.rows] for each in self.splits])
        self.textured = np.concatenate([each.deviation[each.rows] >= FLATTEST for each in self.splits])
        self.label = np.array([each.class_of(row) for each in self.splits for row in each.rows])

    def where(self, at: int) -> str:
        return self.splits[int(self.split[at])].where(int(self.row[at]))

    def class_of(self, at: int) -> str:
        return self.splits[int(self.split[at])].class_of(int(self.row[at]))

    def equal_groups(self) -> list[np.ndarray]:
        """Groups of two and more images with the same pixels; those of one colour do not count."""
        usable = np.flatnonzero(self.textured)
        order = usable[np.argsort(self.digest[usable], kind="stable")]
        ends = np.flatnonzero(np.diff(self.digest[order])) + 1
        return [group for group in np.split(order, ends) if len(group) > 1]

    def near_pairs(self) -> np.ndarray:
        """Pairs of images that look alike and are not equal: (pairs, 2)."""
        usable = np.flatnonzero(self.textured)
        # of equal images one is compared: a picture that occurs a thousand times is not a million pairs
        usable = np.sort(usable[np.unique(self.digest[usable], return_index=True)[1]])
        terms = np.concatenate([each.terms[each.rows] for each in self.splits])[usable]
        pairs: np.ndarray = usable[near_pairs(look_hash(terms))[0]]
        return pairs


def check_duplicates(splits: Mapping[str, Examined]) -> list[Finding]:
    """Equal and near pictures inside and across splits, and under different labels."""
    pool = _Pool(splits)
    groups, near = pool.equal_groups(), pool.near_pairs()
    return [
        *_inside(pool, groups, near),
        *([_across(pool, groups, near)] if len(splits) > 1 else []),
        _labels(pool, groups),
    ]


def _inside(pool: _Pool, groups: list[np.ndarray], near: np.ndarray) -> list[Finding]:
    found = []
    for at, each in enumerate(pool.splits):
        equal = [inside for group in groups if len(inside := group[pool.split[group] == at]) > 1]
        extra = sum(len(group) - 1 for group in equal)
        alike = near[(pool.split[near] == at).all(1)] if len(near) else near
        items = [" = ".join(pool.where(i) for i in group) for group in equal]
        items += [f"{pool.where(a)} ~ {pool.where(b)}" for a, b in alike]
        text = f"{each.split}: {extra:,} equal and {len(np.unique(alike)):,} near duplicates"
        if not items:
            found.append(Finding("duplicates", OK, f"{each.split}: no image occurs twice"))
            continue
        many = extra > 0 or len(np.unique(alike)) > MANY * len(each.rows)
        advice = "keep one of each; a validation split cut from them would hold images that are trained on"
        found.append(
            Finding(
                "duplicates",
                WARNING if many else OK,
                f"{text}: {first_few(items, 2)}",
                advice if many else "",
                tuple(items),
            )
        )
    return found


def _across(pool: _Pool, groups: list[np.ndarray], near: np.ndarray) -> Finding:
    """Images of a later split that an earlier one holds too (train, then val, then test)."""
    level: Level = OK
    texts, items = [], []
    sizes = [len(each.rows) for each in pool.splits]
    for later in range(1, len(pool.splits)):
        for earlier in range(later):
            mixed = [group for group in groups if _both(pool.split[group], earlier, later)]
            equal = [i for group in mixed for i in group if pool.split[i] == later]
            items += [" = ".join(pool.where(i) for i in group) for group in mixed]
            crossing = near[_both_columns(pool.split[near], earlier, later)] if len(near) else near
            items += [f"{pool.where(a)} ~ {pool.where(b)}" for a, b in crossing]
            alike = len({int(i) for i in crossing.ravel() if pool.split[i] == later} - set(equal))
            if not equal and not alike:
                continue
            texts.append(
                f"of {plural(sizes[later], f'{pool.splits[later].split} image')}, {len(equal):,} "
                f"({share(len(equal), sizes[later])}) are in {pool.splits[earlier].split} as well, "
                f"{alike:,} ({share(alike, sizes[later])}) nearly"
            )
            if len(equal) > FALSIFIES * sizes[later]:
                level = ERROR
            elif level == OK and (equal or alike > MANY * sizes[later]):
                level = WARNING
    if not texts:
        return Finding("duplicates across splits", OK, "no image is in two splits")
    return Finding(
        "duplicates across splits",
        level,
        f"{'; '.join(texts)}: {first_few(items, 2)}",
        "" if level == OK else "remove them from training: accuracy on images that were trained on says "
        "nothing of new ones",
        tuple(items),
    )  # fmt: skip


def _both(splits: np.ndarray, a: int, b: int) -> bool:
    return bool((splits == a).any() and (splits == b).any())


def _both_columns(splits: np.ndarray, a: int, b: int) -> np.ndarray:
    both: np.ndarray = (np.sort(splits, axis=1) == (min(a, b), max(a, b))).all(1)
    return both


def _labels(pool: _Pool, groups: list[np.ndarray]) -> Finding:
    mixed = [group for group in groups if len(np.unique(pool.label[group])) > 1]
    if not mixed:
        return Finding("labels", OK, "no image occurs under two labels")
    images = sum(map(len, mixed))
    items = [" = ".join(f"{pool.where(i)} ({pool.class_of(i)})" for i in group) for group in mixed]
    return Finding(
        "labels",
        ERROR if images > FALSIFIES * len(pool.row) else WARNING,
        f"{plural(len(mixed), 'image')} under more than one label ({images:,} copies): {first_few(items, 2)}",
        "at most one of the labels is right: correct or remove them",
        tuple(items),
    )
