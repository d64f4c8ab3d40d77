"""Two groups of runs with the same seeds: the mean difference and its interval.

    d_s = second(s) − first(s) for each seed s of both        mean ± t₀.₉₇₅(n − 1) · sd(d) / √n

Pairing takes out what a seed does to both (data split, order), so that small differences show with few
runs; Student's t over differences (ours for this field; the test is the textbook's). One pair has no
interval.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Paired:
    """Mean difference, its 95 % interval (None for one pair), and pairs."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def verdict(self) -> str:
        """What the interval says."""
        if self.low is None or self.high is None:
            return "one pair: no interval"
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "undecided"


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired | None:
    """The difference second − first over the seeds of both; None where they share no seed."""
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return None
    differences = [second[seed] - first[seed] for seed in seeds]
    n = len(differences)
    mean = sum(differences) / n
    if n == 1:
        return Paired(mean, None, None, 1)
    from scipy.stats import t

    deviation = math.sqrt(sum((each - mean) ** 2 for each in differences) / (n - 1))
    half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return Paired(mean, mean - half, mean + half, n)
