"""Does one quantity of a model go with another, over seeds: such as high-frequency share with head diversity.

    r = Pearson's correlation over runs; interval by Fisher's z: tanh(atanh r ± 1.96 / √(n − 3))

EIT (arXiv 2203.07116) says that the two grow together over its three models, which are three points; over
seeds of one model the claim can fail. Ours. Fewer than 4 runs have no interval, and are refused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.errors import DataError

FEWEST = 4


@dataclass(frozen=True)
class SeedCorrelation:
    """r with its 95 % interval over n runs."""

    r: float
    low: float
    high: float
    n: int


def seed_correlation(first: Sequence[float], second: Sequence[float]) -> SeedCorrelation:
    """Correlation over runs; both in the order of the runs.

    Raises:
        DataError: fewer than 4 runs, or a quantity that is the same in all.
    """
    from scipy.stats import pearsonr

    n = len(first)
    if n < FEWEST:
        raise DataError(f"a correlation over seeds needs at least {FEWEST} runs and was given {n}")
    if len(set(first)) == 1 or len(set(second)) == 1:
        raise DataError("a quantity that is the same in all runs correlates with nothing")
    r = float(pearsonr(first, second).statistic)
    if abs(r) > 1 - 1e-12:
        return SeedCorrelation(r, r, r, n)
    half = 1.959964 / math.sqrt(n - 3)
    return SeedCorrelation(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), n)
