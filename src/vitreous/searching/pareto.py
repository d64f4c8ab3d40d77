"""Several goals at once: the front, who lives on by NSGA-II, and which of a front are retrained.

    goals       score on the choice images up, MACs down; latency and memory down, too, where they are limited
    front       those than which none is as good in all goals and better in one (Optuna's `best_trials`)
    survivors   NSGA-II (Deb et al., IEEE TEC 2002): the first fronts, of the last that fits the least crowded

Who lives on is decided by Optuna's `NSGAIISampler`, in a study in memory that is told scores alone. Children
it does not make: it draws each number of a genome by itself, so it knows neither canonical genomes nor exact
limits, would look at an architecture twice, and depends on all that its process drew before. `evolve.py`
makes them. So survivors are a function of the scores, and an evolution that is run again has the same.
"""

import warnings
from collections.abc import Sequence
from typing import Any

from vitreous.searching.budget import Budget
from vitreous.searching.ledger import Candidate, import_optuna

Goals = tuple[str, ...]
"""Names of fields of a candidate: `top1`, of which more is better, and costs, of which less is."""


def goals_of(budget: Budget) -> Goals:
    """What is to be good: the score and MACs, and what a budget limits that has to be measured."""
    measured = [name for name in ("latency_ms", "memory") if getattr(budget, name) is not None]
    return ("top1", "macs", *measured)


def front(candidates: Sequence[Candidate], goals: Goals) -> list[Candidate]:
    """Those that were scored to the end and that none beats, the fewest MACs first."""
    whole = [each for each in candidates if each.rank[0]]
    optuna = import_optuna()
    study = optuna.create_study(directions=_directions(goals))
    study.add_trials([optuna.trial.create_trial(values=values_of(each, goals)) for each in whole])
    return sorted((whole[each.number] for each in study.best_trials), key=lambda it: (it.macs, it.genome))


def survivors(candidates: Sequence[Candidate], size: int, goals: Goals) -> list[Candidate]:
    """NSGA-II's next population out of parents and children.

    Args:
        candidates: both; those that were not scored to the end do not live on.
        size: of the population, 2 or more; all live on where there are no more.
        goals: what is to be good.
    """
    whole = [each for each in candidates if each.rank[0]]
    if len(whole) <= size:
        return whole
    optuna = import_optuna()
    kept: list[Candidate] = []

    def take(study: Any, space: Any, parents: Sequence[Any]) -> dict[str, Any]:
        kept.extend(whole[each.number] for each in parents)
        return {}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.NSGAIISampler(population_size=size, child_generation_strategy=take)
    sampler.population_size = len(whole)  # they are one generation, of which `size` live on
    study = optuna.create_study(directions=_directions(goals), sampler=sampler)
    for each in (*whole, None):  # then for a child of the next generation
        asked = study.ask()
        asked.relative_params  # noqa: B018  now it draws
        if each is not None:
            study.tell(asked, values_of(each, goals))
    return kept


def beats(one: Candidate, other: Candidate, goals: Goals) -> bool:
    """Whether one is as good in all goals and better in one."""
    pairs = [_lower(each, goals) for each in (one, other)]
    return pairs[0] != pairs[1] and all(a <= b for a, b in zip(*pairs, strict=True))


def along(found: Sequence[Candidate], count: int) -> list[Candidate]:
    """Candidates along a front: the best score of all, then the best below equal steps of MACs.

    With 3: the best of the front, of its cheaper two thirds, and of its cheapest third, by MACs from its
    cheapest to its dearest. Where a step holds no other, the best that are left follow.

    Args:
        found: a front.
        count: how many, 1 or more; fewer where the front has no more.
    """
    least, most = min(it.macs for it in found), max(it.macs for it in found)
    best = sorted(found, key=lambda it: (-(it.top1 or 0.0), it.macs, it.genome))
    chosen: list[Candidate] = []
    for step in range(count, 0, -1):
        below = [it for it in best if it not in chosen and it.macs <= least + (most - least) * step / count]
        chosen += below[:1]
    return [*chosen, *(it for it in best if it not in chosen)][:count]


def values_of(candidate: Candidate, goals: Goals) -> list[float]:
    """The values of a candidate in the order of the goals."""
    return [float(getattr(candidate, name)) for name in goals]


def _lower(candidate: Candidate, goals: Goals) -> list[float]:
    """The same, turned so that less is better in all."""
    values = values_of(candidate, goals)
    return [-value if name == "top1" else value for name, value in zip(goals, values, strict=True)]


def _directions(goals: Goals) -> list[str]:
    return ["maximize" if name == "top1" else "minimize" for name in goals]
