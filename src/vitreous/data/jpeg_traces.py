"""Has a picture been through JPEG, whatever format it is stored in now?

JPEG rounds each cosine term of an 8×8 block to a multiple of a step q. Decoded pixels, transformed again,
still stand in a comb of width q, rounding to whole pixels blurs it only a little. For one term, over all
blocks away from the middle tooth (|c| > q/2),

    comb(q) = mean of cos(2π c / q)

is 1 for a perfect comb and 0 for none. The score is the median over the nine lowest terms of the best comb;
pictures that were never JPEG, or were resized or moved after, score below 0.1, JPEG up to quality 92 above
0.3. Blocks that touch black or white are left out, for clipping moves their terms. Fan & de Queiroz 2003
(Identification of bitmap compression history) look for the same comb by likelihood; the mean is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TERMS = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0))
STANDARD = np.array([11, 12, 14, 12, 10, 16, 14, 13, 14])
"""Steps of these terms at quality 50, ITU-T T.81 table K.1."""
CLEAR = 0.3
STEPS = range(2, 41)
FEWEST_BLOCKS = 200
BLOCKS_AN_IMAGE = 16


@dataclass(frozen=True)
class JpegTraces:
    """What the comb says.

    Args:
        score: 0 to 1.
        quality: the standard tables' quality nearest to the steps found, 1 to 100; None below the threshold.
    """

    score: float
    quality: int | None

    @property
    def found(self) -> bool:
        """Whether the pictures went through JPEG."""
        return self.quality is not None


def jpeg_traces(lumas: Sequence[np.ndarray]) -> JpegTraces | None:
    """Look for the comb in pictures whose first pixel is the first of a block.

    Args:
        lumas: luma (rows, columns), 0 to 255, not rounded for colour pictures.

    Returns:
        None where there are too few blocks to tell.
    """
    blocks = [_blocks(each) for each in lumas]
    terms = _transformed(np.concatenate(blocks)) if blocks else np.zeros((0, 8, 8))
    if len(terms) < FEWEST_BLOCKS:
        return None
    combs = [_best_comb(terms[:, row, column]) for row, column in TERMS]
    score = float(np.median([each for each, _ in combs]))
    if score < CLEAR:
        return JpegTraces(score, None)
    return JpegTraces(score, _quality(np.array([step for _, step in combs])))


def _blocks(luma: np.ndarray) -> np.ndarray:
    """Whole 8×8 blocks without black and white, spread over the picture: (n, 8, 8)."""
    rows, columns = (side // 8 for side in luma.shape)
    cut = luma[: rows * 8, : columns * 8].astype(np.float64)
    blocks = cut.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    usable = blocks[(blocks.min((1, 2)) >= 1) & (blocks.max((1, 2)) <= 254)] if len(blocks) else blocks
    return usable[:: max(1, len(usable) // BLOCKS_AN_IMAGE)][:BLOCKS_AN_IMAGE]


def _transformed(blocks: np.ndarray) -> np.ndarray:
    """The orthonormal cosine transform of each block, as JPEG has it."""
    k, x = np.arange(8)[:, None], np.arange(8)[None]
    waves = np.cos(np.pi * (2 * x + 1) * k / 16) / 2
    waves[0] /= np.sqrt(2)
    terms: np.ndarray = waves @ blocks @ waves.T
    return terms


def _best_comb(term: np.ndarray) -> tuple[float, int]:
    best = (0.0, 0)
    for step in STEPS:
        outside = term[np.abs(term) > step / 2]
        if len(outside) >= FEWEST_BLOCKS // 2:
            best = max(best, (float(np.cos(2 * np.pi * outside / step).mean()), step))
    return best


def _quality(steps: np.ndarray) -> int:
    """The quality whose standard steps are nearest, by the usual scaling of libjpeg."""
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 / qualities, 200 - 2 * qualities)
    standard = np.maximum(1, np.floor((STANDARD[None] * scale[:, None] + 50) / 100))
    far = np.abs(np.log(standard / np.maximum(steps, 1))).sum(1)
    return int(qualities[far == far.min()].max())
