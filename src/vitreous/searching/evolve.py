"""Evolution under a budget: which candidates are looked at, as a function of the seed and of what is known.

    generation 0     drawn at random among the architectures within the budget
    generation g     of the parents: crossover of two, mutation of one, the rest drawn at random
    the end          all are ranked, the last generation too

    evolution        parents are the best so far, by score
    nsga2            parents are who lives on by NSGA-II (`pareto.py`): as many as a generation, for their
                     score and their costs; of two that are drawn, the one that beats the other is taken
    random           no parents: all are drawn at random

Defaults and order are SPOS's (Guo et al., ECCV 2020; megvii-model/SinglePathOneShot, `search.py`): population
50, 20 generations, 10 parents, 25 by crossover, 25 by mutation at 0.1 a gene, ten times as many tries as
children. Two defects of that loop are mended: it scored a last generation that it never ranked, and it
drew the same candidates over the budget again and again. No architecture is looked at twice.

There is no state: what a generation holds follows from the seed and from the scores, which the ledger keeps.
So an evolution that is run again asks for the same candidates, finds those that are scored, and goes on.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vitreous.data.streams import stream
from vitreous.searching.budget import Budget
from vitreous.searching.feasible import check_budget
from vitreous.searching.ledger import Candidate
from vitreous.searching.moves import Mutation, crossed, mutated
from vitreous.searching.pareto import Goals, beats, goals_of, survivors
from vitreous.searching.settings import Evolution
from vitreous.searching.space import Genome, Space

logger = logging.getLogger("vitreous")
COUNTABLE = 100_000
TRIES = 10  # times the children that are wanted
ROUNDS = 10  # in which places of candidates that are over a measured limit are filled again


@dataclass(frozen=True)
class Proposal:
    """A candidate to be scored: canonical, within the exact limits, and new."""

    genome: Genome
    generation: int
    origin: str


Evaluate = Callable[[Sequence[Proposal], float | None], list[Candidate]]


def evolve(
    space: Space, budget: Budget, given: Evolution, generations: int, *, seed: int, evaluate: Evaluate
) -> list[Candidate]:
    """All candidates that were looked at, the best first.

    Args:
        space: what is searched.
        budget: MACs and parameters are kept by every candidate that is scored; the rest `evaluate` measures.
        given: sizes and rates.
        generations: after the first.
        seed: of the search.
        evaluate: scores proposals; its second argument is the least score of the parents, None in the first
            generation, and with NSGA-II, where one that scores low may be the cheapest. A candidate over a
            measured limit has no score.

    Raises:
        BudgetError: no architecture is within the exact limits; says the cheapest.
    """
    draw, goals = Draw(space, budget), goals_of(budget)
    seen: set[Genome] = set()
    found: list[Candidate] = []
    parents: list[Candidate] = []
    before = 0  # how many were found when the newest generation began
    for generation in range(generations + 1):
        least = None
        if given.method == "nsga2":
            parents = survivors([*parents, *found[before:]], given.population, goals)
        else:
            parents = sorted(found, key=lambda it: it.rank, reverse=True)[: given.parents]
            parents = [each for each in parents if each.rank[0]]
            if len(parents) == given.parents and given.stop_hopeless:
                least = parents[-1].top1
        wanted, before = given.population, len(found)
        for turn in range(ROUNDS):
            generator = stream(seed, "evolution", generation, turn)
            children = _children(space, budget, given, parents, seen, generator, wanted, goals)
            proposals = [Proposal(genome, generation, origin) for genome, origin in children]
            while len(proposals) < wanted:
                genome = draw(generator, seen)
                if genome is None:
                    break
                proposals.append(Proposal(genome, generation, "random"))
            if not proposals:
                break
            scored = evaluate(proposals, least)
            found += scored
            wanted -= sum(each.top1 is not None for each in scored)
            if wanted <= 0:
                break
        if not proposals:
            logger.info("every architecture within the budget was looked at: evolution ends early")
            break
        best = max(found, key=lambda it: it.rank)
        if best.top1 is not None:
            logger.info(
                "generation %d of %d: %d candidates, the best ranks at %.2f %% on the choice images",
                generation, generations, len(found), 100 * best.top1,
            )  # fmt: skip
    return sorted(found, key=lambda it: it.rank, reverse=True)


def _children(
    space: Space,
    budget: Budget,
    given: Evolution,
    parents: Sequence[Candidate],
    seen: set[Genome],
    generator: np.random.Generator,
    wanted: int,
    goals: Goals,
) -> list[tuple[Genome, str]]:
    """New genomes by crossover and mutation; all that were made are then seen, those over the budget too."""
    if given.method == "random" or not parents:
        return []
    rates = Mutation(gene=given.mutate, place=given.mutate_place)
    made: list[tuple[Genome, str]] = []

    def drawn() -> Candidate:
        return parents[int(generator.integers(len(parents)))]

    def pick() -> Genome:
        if given.method != "nsga2":
            return drawn().genome
        one, other = drawn(), drawn()
        return (other if beats(other, one, goals) else one).genome

    for origin, most in (("crossover", given.crossover), ("mutation", given.mutation)):
        count = 0
        for _ in range(TRIES * most):
            if count >= most or len(made) >= wanted:
                break
            if origin == "crossover":
                child = crossed(space, pick(), pick(), generator)
            else:
                child = mutated(space, pick(), generator, rates)
            if child in seen:
                continue
            seen.add(child)
            if budget.allows(*space.cost(child)):
                made.append((child, origin))
                count += 1
    return made


class Draw:
    """Draws architectures within the exact limits that were not seen: uniformly, where they can be counted.

    Raises:
        BudgetError: there are none; says the cheapest and its cost.
    """

    def __init__(self, space: Space, budget: Budget) -> None:
        self._space, self._budget = space, budget
        check_budget(space, budget)
        self._within: list[Genome] | None = None
        if space.count <= COUNTABLE:
            self._within = [genome for genome, *costs in space.all() if budget.allows(*costs)]

    def __call__(self, generator: np.random.Generator, seen: set[Genome]) -> Genome | None:
        """One of them, which is then seen; None where none is found."""
        if self._within is not None:
            for _ in range(20):  # mostly the first was not seen, and nothing has to be gone through
                genome = self._within[int(generator.integers(len(self._within)))]
                if genome not in seen:
                    seen.add(genome)
                    return genome
            left = [each for each in self._within if each not in seen]
            if not left:
                return None
            genome = left[int(generator.integers(len(left)))]
            seen.add(genome)
            return genome
        for _ in range(1000):
            genome = self._space.sample(generator, self._budget)
            if genome not in seen:
                seen.add(genome)
                if self._budget.allows(*self._space.cost(genome)):
                    return genome
        return None
