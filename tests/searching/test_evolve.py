"""Evolution on fitness that is known: what it finds, keeps and repeats."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.searching.spaces import tiny_hybrid, tiny_psvit, tiny_wide
from tests.training.together import environment
from vitreous.searching.budget import Budget, BudgetError
from vitreous.searching.evolve import Evaluate, Proposal, evolve
from vitreous.searching.ledger import Candidate, Ledger
from vitreous.searching.settings import Evolution
from vitreous.searching.space import Genome, Space

SMALL = Evolution(population=8, parents=4, crossover=4, mutation=3)


def scored_by(space: Space, fitness: object, asked: list[Genome] | None = None) -> Evaluate:
    def evaluate(proposals: Sequence[Proposal], least: float | None) -> list[Candidate]:
        found = []
        for each in proposals:
            macs, params = space.cost(each.genome)
            top1 = fitness(each.genome)  # type: ignore[operator]
            found.append(
                Candidate(genome=each.genome, macs=macs, params=params, top1=top1, origin=each.origin)
            )
            if asked is not None:
                asked.append(each.genome)
        return found

    return evaluate


def planted(best: Genome) -> object:
    """Fitness that grows with every gene that is as in `best`."""
    return lambda genome: sum(a == b for a, b in zip(genome, best, strict=True)) / len(best)


def test_on_a_planted_fitness_it_beats_random_search_at_equal_evaluations() -> None:
    space = tiny_psvit(depth=12)
    best = space.canonical((4, 9, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1))
    won, reached = [], []
    for seed in range(6):
        tops = {
            method: evolve(
                space, Budget(), replace(Evolution(), method=method), 10, seed=seed,
                evaluate=scored_by(space, planted(best)),
            )[0]
            for method in ("evolution", "random")
        }  # fmt: skip
        won.append(tops["evolution"].top1 > tops["random"].top1)
        reached.append((tops["evolution"].genome == best, tops["random"].genome == best))
    assert sum(won) >= 5
    assert sum(each for each, _ in reached) > sum(each for _, each in reached)


def two_goals(space: Space) -> Callable[[Genome], float]:
    """Fitness that grows with attention of its own, in later layers more, and falls with early pools.

    It costs MACs, so there is a front between the two, which is known by looking at all architectures.
    """
    first = len([gene for gene in space.genes if gene.kind == "place"])

    def fitness(genome: Genome) -> float:
        own = sum((1 + number) * (pick == 0) for number, pick in enumerate(genome[first:]))
        return (own + 4 * sum(genome[:first])) / 200

    return fitness


def volume(found: Sequence[tuple[float, int]], worst: tuple[float, int]) -> float:
    """What points of (score, MACs) beat, up to a worst one: the hypervolume, by sweeping over MACs."""
    total, best, before = 0.0, worst[0], None
    for score, macs in sorted(found, key=lambda it: (it[1], -it[0])):
        if before is not None:
            total += (best - worst[0]) * (macs - before)
        best, before = max(best, score), macs
    return total + (best - worst[0]) * (worst[1] - (before or worst[1]))


def test_nsga2_comes_nearer_to_a_known_front_than_random_search_at_equal_evaluations() -> None:
    pytest.importorskip("optuna")
    space = tiny_psvit(depth=10)
    fitness = two_goals(space)
    worst = (0.0, space.range_of("macs")[1] + 1)
    known = volume([(fitness(genome), macs) for genome, macs, _ in space.all()], worst)
    small = Evolution(population=20, parents=5, crossover=10, mutation=10)
    missing: dict[str, list[float]] = {"nsga2": [], "random": [], "evolution": []}
    for seed in range(3):
        for method, shares in missing.items():
            found = evolve(
                space, Budget(), replace(small, method=method), 9, seed=seed,
                evaluate=scored_by(space, fitness),
            )  # fmt: skip
            assert len(found) == 10 * 20
            shares.append(1 - volume([(each.top1 or 0.0, each.macs) for each in found], worst) / known)
    assert min(missing["nsga2"]) >= 0
    for other in ("random", "evolution"):
        assert all(a < b for a, b in zip(missing["nsga2"], missing[other], strict=True))
    assert sum(missing["nsga2"]) < 2 / 3 * sum(missing["random"])


def test_in_a_space_of_six_layers_it_finds_the_optimum_more_often_than_random_search() -> None:
    space = tiny_psvit(depth=6)
    best = space.canonical((2, 4, 1, 0, 1, 0, 1))
    found = dict.fromkeys(("evolution", "random"), 0)
    for seed in range(20):
        for method in found:
            top = evolve(
                space, Budget(), replace(SMALL, method=method), 3, seed=seed,
                evaluate=scored_by(space, planted(best)),
            )[0]  # fmt: skip
            found[method] += top.genome == best
    assert found["evolution"] > found["random"] + 2


@pytest.mark.parametrize("method", ["evolution", "nsga2"])
@pytest.mark.parametrize("space", [tiny_psvit(depth=8), tiny_wide(), tiny_hybrid()], ids=lambda it: it.name)
def test_it_repeats_itself_looks_at_nothing_twice_and_keeps_the_budget(space: Space, method: Any) -> None:
    pytest.importorskip("optuna")
    least, most = space.range_of("macs")
    budget = Budget(macs=least + (most - least) // 3)
    noise: dict[Genome, float] = {}

    def fitness(genome: Genome) -> float:
        return noise.setdefault(genome, random.Random(str(genome)).random())

    runs = []
    for _ in range(2):
        asked: list[Genome] = []
        given = replace(SMALL, method=method)
        evolve(space, budget, given, 5, seed=3, evaluate=scored_by(space, fitness, asked))
        runs.append(asked)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == len(runs[0]) == 6 * 8
    assert all(space.canonical(each) == each and budget.allows(*space.cost(each)) for each in runs[0])


def test_the_last_generation_is_ranked_with_all_others() -> None:
    space = tiny_psvit(depth=12)
    asked: list[Genome] = []
    ranked = evolve(
        space, Budget(), SMALL, 2, seed=0, evaluate=scored_by(space, lambda _: len(asked) / 1e6, asked)
    )
    assert ranked[0].genome == asked[-1]
    scores = [each.top1 or 0.0 for each in ranked]
    assert scores == sorted(scores, reverse=True)


def test_stopped_candidates_and_those_over_a_measured_limit_rank_behind_all_others() -> None:
    space = tiny_psvit(depth=8)

    def evaluate(proposals: Sequence[Proposal], least: float | None) -> list[Candidate]:
        made = scored_by(space, lambda _: 0.9)(proposals, least)
        return [
            replace(each, stopped=number % 4 == 1, top1=None if number % 4 == 2 else 0.5)
            for number, each in enumerate(made)
        ]

    ranked = evolve(space, Budget(), SMALL, 1, seed=0, evaluate=evaluate)
    kinds = [2 if each.top1 is None else int(each.stopped) for each in ranked]
    assert kinds == sorted(kinds)


def test_a_space_that_is_used_up_ends_early() -> None:
    space = tiny_psvit(depth=4)
    ranked = evolve(space, Budget(), SMALL, 20, seed=0, evaluate=scored_by(space, lambda _: 0.5))
    assert len(ranked) == space.count == 6


def test_a_budget_that_nothing_meets_says_the_cheapest_and_its_cost() -> None:
    space = tiny_psvit()
    macs, params = space.cost(space.cheapest("macs"))
    with pytest.raises(BudgetError, match=f"the cheapest has {macs:,} MACs and {params:,} parameters"):
        evolve(space, Budget(macs=macs - 1), SMALL, 1, seed=0, evaluate=scored_by(space, lambda _: 0.5))
    fewest = space.range_of("parameters")[0]
    with pytest.raises(BudgetError, match="was found within"):
        evolve(
            space,
            Budget(macs=macs, params=fewest),
            SMALL,
            1,
            seed=0,
            evaluate=scored_by(space, lambda _: 0.5),
        )


def test_the_defaults_are_those_of_single_path_one_shot() -> None:
    given = Evolution()
    assert (given.population, given.parents, given.crossover, given.mutation) == (50, 10, 25, 25)
    assert (given.mutate, given.mutate_place) == (0.1, 0.2)
    assert np.isclose(50 * 21, 1050)


def through_a_ledger(folder: Path, left: int) -> list[Candidate]:
    """NSGA-II on two planted goals, kept in a ledger; killed where `left` candidates are written down."""
    space = tiny_psvit(depth=8)
    fitness = two_goals(space)
    ledger, done = Ledger(folder, None, {"space": space.name}), [0]

    def evaluate(proposals: Sequence[Proposal], least: float | None) -> list[Candidate]:
        assert least is None
        by_genome = {each.genome: each for each in scored_by(space, fitness)(proposals, least)}
        for genome in ledger.wait(list(by_genome)):
            number = ledger.claim(genome)
            assert number is not None
            if done[0] == left:
                os.kill(os.getpid(), signal.SIGKILL)
            ledger.finish(number, by_genome[genome])
            done[0] += 1
        found = [ledger.candidate(each.genome) for each in proposals]
        return [each for each in found if each is not None]

    found = evolve(space, Budget(), replace(SMALL, method="nsga2"), 2, seed=5, evaluate=evaluate)
    assert sorted(each.genome for each in ledger.all()) == sorted(each.genome for each in found)
    ledger.close()
    return found


def test_nsga2_goes_on_after_kill_nine_with_the_same_candidates(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    code = (
        "import sys; from pathlib import Path; from tests.searching.test_evolve import through_a_ledger;"
        "through_a_ledger(Path(sys.argv[1]), 13)"
    )
    words = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "killed")]
    ended = subprocess.run(words, env=environment(), capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
    space = tiny_psvit(depth=8)
    whole = evolve(
        space, Budget(), replace(SMALL, method="nsga2"), 2, seed=5,
        evaluate=scored_by(space, two_goals(space)),
    )  # fmt: skip
    assert through_a_ledger(tmp_path / "killed", -1) == whole and len(whole) == 24
