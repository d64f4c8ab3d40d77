"""Fronts, NSGA-II's survivors, and winners along a front, on scores that are made up."""

import random
from collections.abc import Sequence

import pytest

pytest.importorskip("optuna")

from vitreous.searching.budget import Budget
from vitreous.searching.ledger import Candidate
from vitreous.searching.pareto import along, beats, front, goals_of, survivors

GOALS = goals_of(Budget(macs=100))


def made(number: int, top1: float | None, macs: int, *, stopped: bool = False) -> Candidate:
    return Candidate(genome=(number,), macs=macs, params=7, top1=top1, images=9, stopped=stopped)


def numbers(found: Sequence[Candidate]) -> list[int]:
    return [each.genome[0] for each in found]


def drawn(count: int, seed: int) -> list[Candidate]:
    generator = random.Random(seed)
    return [made(number, generator.random(), generator.randrange(1000)) for number in range(count)]


def fronts(found: Sequence[Candidate]) -> list[list[int]]:
    """Peeled off one by one, as the paper says it."""
    left, peeled = list(found), []
    while left:
        first = [it for it in left if not any(beats(other, it, GOALS) for other in left)]
        peeled.append(numbers(first))
        left = [it for it in left if it not in first]
    return peeled


def test_a_front_holds_what_nothing_beats_in_both() -> None:
    found = [
        made(1, 0.5, 10),
        made(2, 0.7, 20),
        made(3, 0.6, 30),
        made(4, None, 1),
        made(5, 0.1, 2, stopped=True),
    ]
    assert numbers(front(found, GOALS)) == [1, 2]
    many = drawn(60, seed=1)
    assert sorted(numbers(front(many, GOALS))) == sorted(fronts(many)[0])


def test_latency_and_memory_are_goals_where_they_are_limited() -> None:
    assert goals_of(Budget(params=5)) == ("top1", "macs")
    goals = goals_of(Budget(latency_ms=8, memory=9))
    assert goals == ("top1", "macs", "latency_ms", "memory")
    slow = Candidate(genome=(1,), macs=10, params=1, top1=0.5, latency_ms=7.0, memory=5)
    fast = Candidate(genome=(2,), macs=20, params=1, top1=0.4, latency_ms=3.0, memory=5)
    worst = Candidate(genome=(3,), macs=20, params=1, top1=0.4, latency_ms=3.0, memory=6)
    assert numbers(front([slow, fast, worst], goals)) == [1, 2]
    assert numbers(front([slow, fast, worst], GOALS)) == [1]


@pytest.mark.parametrize("seed", range(5))
def test_who_lives_on_is_of_the_first_fronts_and_the_ends_of_the_last_are_kept(seed: int) -> None:
    found, size = drawn(40, seed), 20
    kept = numbers(survivors(found, size, GOALS))
    assert len(kept) == len(set(kept)) == size
    left = size
    for peeled in fronts(found):
        if len(peeled) <= left:
            assert set(peeled) <= set(kept)
        elif left >= 2:
            ends = sorted(peeled, key=lambda it: found[it].macs)
            assert {ends[0], ends[-1]} <= set(kept)
        left = max(0, left - len(peeled))
    assert kept == numbers(survivors(found, size, GOALS))


def test_of_a_front_the_least_crowded_live_on() -> None:
    line = [made(number, place / 100, place) for number, place in enumerate((0, 1, 2, 3, 50, 100))]
    assert sorted(numbers(survivors(line, 4, GOALS))) == [0, 3, 4, 5]


def test_stopped_candidates_and_those_over_a_limit_do_not_live_on() -> None:
    found = [
        made(1, 0.5, 10),
        made(2, None, 1),
        made(3, 0.1, 2, stopped=True),
        made(4, 0.6, 30),
        made(5, 0.7, 40),
    ]
    assert numbers(survivors(found, 2, GOALS)) != []
    assert set(numbers(survivors(found, 2, GOALS))) <= {1, 4, 5}
    assert numbers(survivors(found, 9, GOALS)) == [1, 4, 5]


def test_winners_are_the_best_of_the_front_and_of_its_cheaper_parts() -> None:
    line = [made(macs, macs / 1000, macs) for macs in (100, 150, 190, 350, 400)]
    assert numbers(along(line, 1)) == [400]
    assert numbers(along(line, 2)) == [400, 190]  # below 250
    assert numbers(along(line, 3)) == [400, 190, 150]  # below 300 and 200; 190 is taken
    assert numbers(along(line, 9)) == [400, 350, 190, 150, 100]
    assert numbers(along(line[:1], 2)) == [100]
