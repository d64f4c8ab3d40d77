"""A look at the images before anything starts: sizes, colour, and what cannot be read.

Every image is decoded in full, since a truncated file has a perfect header; of very many, a sample. What
was found is kept in the cache, keyed by the data's content, so that the next run only looks at what it has
not seen.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitreous.data.cache import cache_folder, keep
from vitreous.data.decode import upright
from vitreous.data.records import Records
from vitreous.data.streams import stream
from vitreous.data.threads import in_threads
from vitreous.errors import ConfigError, DataError
from vitreous.wording import first_few, plural

logger = logging.getLogger("vitreous")
LOOK_AT_ALL, SAMPLE = 100_000, 10_000
UNSEEN, GREY, COLOUR, UNREADABLE = range(4)


@dataclass(frozen=True)
class Scan:
    """What a data set consists of.

    Args:
        images: readable images by split.
        classes: how many.
        heights: smallest, median and largest, in pixels.
        widths: smallest, median and largest, in pixels.
        channels: 1 if all images are greyscale, else 3.
        smallest_class: name and training images of the class with fewest.
        largest_class: name and training images of the class with most.
        unreadable: places of the images that cannot be decoded.
        cut: the validation split was cut from the training images.
        looked: how many images were decoded for this; None for all.
    """

    images: dict[str, int]
    classes: int
    heights: tuple[int, int, int]
    widths: tuple[int, int, int]
    channels: int
    smallest_class: tuple[str, int]
    largest_class: tuple[str, int]
    unreadable: tuple[str, ...] = ()
    cut: bool = False
    looked: int | None = None

    def __str__(self) -> str:
        """One line."""
        splits = " + ".join(f"{count:,} {split}" for split, count in self.images.items())
        cut = " (val cut from train)" if self.cut else ""
        (low_h, mid_h, high_h), (low_w, mid_w, high_w) = self.heights, self.widths
        size = f"{mid_h}×{mid_w} pixels"
        if (low_h, low_w) != (high_h, high_w):
            size = f"{low_h}×{low_w} to {high_h}×{high_w} pixels (median {mid_h}×{mid_w})"
        balance = f"{self.largest_class[1]:,} each"
        if self.smallest_class[1] != self.largest_class[1]:
            balance = "smallest {} with {:,}, largest {} with {:,}".format(
                *self.smallest_class, *self.largest_class
            )
        return (
            f"{splits} images{cut}, {self.classes} classes ({balance}), {size}, "
            f"{'greyscale' if self.channels == 1 else 'colour'}, "
            f"{len(self.unreadable) or 'none'} unreadable"
            + ("" if self.looked is None else f" of the {self.looked:,} looked at")
        )


@dataclass(frozen=True)
class Findings:
    """Per image of some records: `state` (GREY, COLOUR, UNREADABLE or UNSEEN), height and width."""

    state: np.ndarray
    height: np.ndarray
    width: np.ndarray


def to_look_at(rows: np.ndarray, wanted: int | str, seed: int) -> np.ndarray:
    """The rows that are decoded before training; decoding a million images would take hours.

    Args:
        rows: of a split, rising.
        wanted: `all`, a number, or `auto`.
        seed: start of the stream `look`, which draws them.

    Raises:
        ConfigError: a number below 1.
    """
    if wanted == "all" or (wanted == "auto" and len(rows) <= LOOK_AT_ALL):
        return rows
    count = SAMPLE if wanted == "auto" else int(wanted)
    if count < 1:
        raise ConfigError(f"loading.look is {count}; 1 or more images, all or auto work")
    if count >= len(rows):
        return rows
    return np.sort(stream(seed, "look").choice(rows, count, replace=False))


def look(records: Records, rows: np.ndarray, what: str) -> Findings:
    """Decode the given rows, or take what an earlier look found.

    Args:
        records: the images.
        rows: positions to look at; other positions may stay UNSEEN.
        what: words for the progress bar.
    """
    path = cache_folder() / "scans" / f"{records.stamp}.npz"
    found = _read(path, len(records.labels))
    unseen = rows[found.state[rows] == UNSEEN]
    if not len(unseen):
        return found

    def one(i: int) -> tuple[int, int, int]:
        try:
            with records.open(i) as opened:
                image = upright(opened)
        except Exception as error:  # readers raise nearly anything
            logger.debug("%s: %s", records.where(i), error)
            return UNREADABLE, 0, 0
        return (GREY if image.mode == "L" else COLOUR), image.height, image.width

    for i, result in zip(unseen, in_threads(one, unseen, f"looking at {what}"), strict=True):
        found.state[i], found.height[i], found.width[i] = result

    def write(target: Path) -> None:
        with target.open("wb") as file:
            np.savez(file, state=found.state, height=found.height, width=found.width)

    keep(path, write)
    return found


def _read(path: Path, count: int) -> Findings:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            findings = Findings(stored["state"], stored["height"], stored["width"])
        if len(findings.state) == count:
            return findings
    except (OSError, ValueError, KeyError, EOFError):
        pass  # absent, torn or foreign: look again
    except Exception as error:  # zipfile and zlib have their own
        logger.debug("%s: %s", path, error)
    return Findings(np.zeros(count, np.uint8), np.zeros(count, np.int32), np.zeros(count, np.int32))


def refuse_unreadable(places: Sequence[str], split: str) -> None:
    """Raise a DataError naming the first few images that cannot be read."""
    raise DataError(
        f"{plural(len(places), 'unreadable image')} in {split}: {first_few(places, 5)}; "
        "repair or remove them, or leave them out with --loading.skip-unreadable"
    )


def spread(values: Iterable[np.ndarray]) -> tuple[int, int, int]:
    """Smallest, median (of a real image) and largest."""
    ordered = np.sort(np.concatenate(list(values)))
    return int(ordered[0]), int(ordered[len(ordered) // 2]), int(ordered[-1])
