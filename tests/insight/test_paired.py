"""Differences over equal seeds, against the textbook."""

import pytest
from scipy.stats import ttest_rel

from vitreous.insight.paired import paired


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    first, second = {0: 1.0, 1: 2.0, 2: 4.0}, {2: 5.5, 0: 2.0, 1: 2.5, 9: 100.0}
    found = paired(first, second)
    assert found is not None and found.n == 3 and found.mean == pytest.approx(1.0)
    interval = ttest_rel([2.0, 2.5, 5.5], [1.0, 2.0, 4.0]).confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx([interval.low, interval.high])
    assert found.verdict == "undecided"


def test_the_verdict_follows_the_interval() -> None:
    base = dict.fromkeys(range(4), 0.0)
    assert paired(base, {seed: 5 + 0.1 * seed for seed in range(4)}).verdict == "higher"
    assert paired(base, {seed: -5 + 0.1 * seed for seed in range(4)}).verdict == "lower"
    assert paired(base, {0: 1.0}).verdict == "one pair: no interval"
    assert paired(base, {7: 1.0}) is None
