"""A correlation over seeds, with its interval."""

import pytest

from vitreous.analysis.seed_correlation import seed_correlation
from vitreous.errors import DataError


def test_the_interval_is_fishers() -> None:
    found = seed_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    assert found.r == pytest.approx(0.8) and found.n == 5
    assert [found.low, found.high] == pytest.approx([-0.2796, 0.9862], abs=1e-3)


def test_few_runs_are_counted_and_constants_refused() -> None:
    with pytest.raises(DataError, match="at least 4 runs and was given 3"):
        seed_correlation([1, 2, 3], [1, 2, 3])
    with pytest.raises(DataError, match="same in all runs"):
        seed_correlation([1, 1, 1, 1], [1, 2, 3, 4])
    assert seed_correlation([1, 2, 3, 4], [2, 4, 6, 8]).r == pytest.approx(1)
