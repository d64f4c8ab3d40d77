"""One pass over every image of a split, keeping what the checks of a data set need and not the pixels.

Of each image: its size, its format, a digest of its decoded pixels, its brightness, and a 32×32 grey
miniature as the 12×12 lowest terms of its cosine transform. Of some, spread evenly, the luma of the corner
that starts at (0, 0), where traces of JPEG's blocks would be. Ours.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from vitreous.data.decode import upright, why_unreadable
from vitreous.data.labels import spelled
from vitreous.data.records import Records
from vitreous.data.threads import in_threads

MINIATURE = 32
TERMS = 12
SAMPLED = 1500
CORNER = 64
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as JPEG uses them
CHUNK = 4096
logger = logging.getLogger("vitreous")


@dataclass(frozen=True, eq=False)
class Examined:
    """What was seen in the images of one split; arrays have one entry an image, in the records' order.

    Args:
        split: name.
        records: the images.
        readable: bool; where False the other entries are 0.
        height: rows.
        width: columns.
        grey: stored without colour.
        digest: uint64 of the decoded, upright pixels: equal for equal pictures.
        terms: float32 (n, 12, 12): lowest cosine terms of the miniature, [row frequency, column frequency].
        mean: of all pixels and channels, 0 to 255.
        deviation: standard deviation of the same.
        lowest: smallest pixel value.
        highest: largest pixel value.
        colour: sums over readable images of each channel's mean and mean square, float64 (2, 3).
        formats: readable images by file format as Pillow names it.
        corners: luma of sampled images, each at most 64×64.
        reasons: row → why it cannot be read.
    """

    split: str
    records: Records
    readable: np.ndarray
    height: np.ndarray
    width: np.ndarray
    grey: np.ndarray
    digest: np.ndarray
    terms: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    colour: np.ndarray
    formats: dict[str, int] = field(default_factory=dict)
    corners: list[np.ndarray] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def rows(self) -> np.ndarray:
        """Rows that can be read."""
        return np.flatnonzero(self.readable)

    @property
    def labels(self) -> np.ndarray:
        """Class of each image, or one row of zeros and ones an image, over the records' names."""
        return self.records.labels

    def where(self, row: int) -> str:
        """Place of an image, with its split."""
        return self.records.where(int(row))

    def class_of(self, row: int) -> str:
        """Class name of an image, or several."""
        return spelled(self.labels, self.records.names, row)


@dataclass(frozen=True)
class _Seen:
    """What is kept of one readable image."""

    size: tuple[int, int]
    grey: bool
    format: str
    digest: int
    miniature: np.ndarray
    mean: float
    deviation: float
    lowest: int
    highest: int
    colour: np.ndarray
    corner: np.ndarray | None


def examine(split: str, records: Records) -> Examined:
    """Decode every image of a split once, in threads, with a progress bar.

    Args:
        split: name, for messages.
        records: the images.
    """
    count = len(records.labels)
    sampled = set(np.linspace(0, count - 1, min(SAMPLED, count)).astype(int).tolist())
    found = Examined(
        split=split,
        records=records,
        readable=np.zeros(count, bool),
        height=np.zeros(count, np.int32),
        width=np.zeros(count, np.int32),
        grey=np.zeros(count, bool),
        digest=np.zeros(count, np.uint64),
        terms=np.zeros((count, TERMS, TERMS), np.float32),
        mean=np.zeros(count, np.float32),
        deviation=np.zeros(count, np.float32),
        lowest=np.zeros(count, np.uint8),
        highest=np.zeros(count, np.uint8),
        colour=np.zeros((2, 3)),
    )

    def one(row: int) -> _Seen | str:
        try:
            with records.open(row) as opened:
                kind = opened.format or "pixels"
                return _look(upright(opened), kind, keep_corner=row in sampled)
        except Exception as error:  # readers raise nearly anything
            return why_unreadable(error)

    for start, chunk in _chunks(in_threads(one, np.arange(count), f"examining {split} images")):
        _write_down(found, start, chunk)
    return found


def lowest_terms(miniatures: np.ndarray) -> np.ndarray:
    """The 12×12 lowest terms of the cosine transform (DCT-II): (n, 32, 32) → float32 (n, 12, 12)."""
    k, x = np.arange(TERMS)[:, None], np.arange(MINIATURE)[None]
    waves = np.cos(np.pi * (2 * x + 1) * k / (2 * MINIATURE)).astype(np.float32)
    terms: np.ndarray = waves @ miniatures.astype(np.float32) @ waves.T
    return terms


def _look(image: Image.Image, kind: str, *, keep_corner: bool) -> _Seen:
    pixels = np.asarray(image)
    channels = pixels.reshape(-1, 1 if pixels.ndim == 2 else 3)
    lines = f"{image.mode} {image.size}".encode()
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=8, key=lines[:64]).digest()
    small = image.convert("L")
    if small.size != (MINIATURE, MINIATURE):
        shrink = min(small.size) > MINIATURE
        small = small.resize(
            (MINIATURE, MINIATURE), Image.Resampling.BOX if shrink else Image.Resampling.BICUBIC
        )
    means = channels.mean(0, dtype=np.float64)
    squares = np.square(channels, dtype=np.float32).mean(0, dtype=np.float64)
    corner = pixels[:CORNER, :CORNER] if keep_corner else None
    if corner is not None and corner.ndim == 3:
        corner = corner @ LUMA
    return _Seen(
        size=image.size,
        grey=pixels.ndim == 2,
        format=kind,
        digest=int.from_bytes(digest, "little"),
        miniature=np.asarray(small),
        mean=float(means.mean()),
        deviation=float(np.sqrt(max(squares.mean() - means.mean() ** 2, 0))),
        lowest=int(pixels.min()),
        highest=int(pixels.max()),
        colour=np.broadcast_to(np.stack([means, squares]), (2, 3)),
        corner=corner,
    )


def _chunks(results: Iterator[_Seen | str]) -> Iterator[tuple[int, list[_Seen | str]]]:
    start, chunk = 0, []
    for result in results:
        chunk.append(result)
        if len(chunk) == CHUNK:
            yield start, chunk
            start, chunk = start + CHUNK, []
    if chunk:
        yield start, chunk


def _write_down(found: Examined, start: int, chunk: list[_Seen | str]) -> None:
    seen = [(start + at, each) for at, each in enumerate(chunk) if isinstance(each, _Seen)]
    found.reasons.update({start + at: each for at, each in enumerate(chunk) if isinstance(each, str)})
    if not seen:
        return
    rows = np.array([row for row, _ in seen])
    found.readable[rows] = True
    found.width[rows], found.height[rows] = np.array([each.size for _, each in seen]).T
    for name in ("grey", "digest", "mean", "deviation", "lowest", "highest"):
        array = getattr(found, name)
        array[rows] = np.array([getattr(each, name) for _, each in seen], dtype=array.dtype)
    found.terms[rows] = lowest_terms(np.stack([each.miniature for _, each in seen]))
    for _, each in seen:
        found.formats[each.format] = found.formats.get(each.format, 0) + 1
        found.colour[:] += each.colour
        if each.corner is not None:
            found.corners.append(each.corner)
