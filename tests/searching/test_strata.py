"""Paths of the supernet's training: a function of the step, with alike many in every bin of cost."""

from collections import Counter

import pytest

from tests.searching.spaces import tiny_psvit, tiny_wide
from vitreous.searching.budget import Budget
from vitreous.searching.space import Space
from vitreous.searching.strata import Paths


@pytest.mark.parametrize("space", [tiny_psvit(depth=10), tiny_wide(depth=6)], ids=lambda it: it.name)
def test_costs_around_the_budget_are_drawn_alike(space: Space) -> None:
    least, most = space.range_of("macs")
    budget = Budget(macs=least + (most - least) // 3)
    paths = Paths(space, budget, seed=0)
    found = paths.bins()
    assert found is not None
    what, edges = found
    assert what == "macs" and edges[0] >= least and edges[-1] <= 1.09 * budget.macs + 1
    counts: Counter[int] = Counter()
    for step in range(140):
        macs = space.cost(paths.of_step(step))[0]
        counts[sum(macs > edge for edge in edges[1:-1])] += 1
        assert edges[0] <= macs <= edges[-1]
    assert set(counts) == set(range(7)) and min(counts.values()) >= 8  # 20 each


def test_a_step_has_one_path_whatever_was_drawn_before() -> None:
    paths = Paths(tiny_psvit(depth=8), Budget(macs=60_000), seed=4)
    assert [paths.of_step(5), paths.of_step(3)] == [paths.of_step(3), paths.of_step(5)][::-1]
    assert len({paths.of_step(step) for step in range(20)}) > 10


def test_without_a_limit_or_strata_or_near_architectures_all_are_alike() -> None:
    space = tiny_psvit()
    assert Paths(space, Budget(), 0).bins() is None
    assert Paths(space, Budget(macs=50_000), 0, strata=0).bins() is None
    assert Paths(space, Budget(macs=10**12), 0).bins() is None
    assert Paths(space, Budget(params=20_000), 0).bins() is not None
