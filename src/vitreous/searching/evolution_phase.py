"""Evolution of a search: its sizes are decided once, candidates are found through the ledger and ranked."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.searching.budget import Budget, BudgetError
from vitreous.searching.clock import EVOLUTION, SUPERNET
from vitreous.searching.decisions import told
from vitreous.searching.evolve import evolve
from vitreous.searching.least_time import FEWEST
from vitreous.searching.ledger import Candidate, Ledger
from vitreous.searching.look import Looking
from vitreous.searching.open_ledger import identity_of, open_ledger
from vitreous.searching.pareto import along, front, goals_of
from vitreous.searching.score import Scorer
from vitreous.searching.settings import Evolution
from vitreous.searching.task import Task
from vitreous.searching.waiting import wait_until
from vitreous.training.interruption import Interruption

FULL_GENERATIONS = 20
logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class Found:
    """What evolution leaves.

    Args:
        ranked: all candidates, the best first.
        compared: those of a random search, the best first, where it is asked for.
        front: those that nothing beats in score and costs.
    """

    ranked: list[Candidate]
    compared: list[Candidate]
    front: list[Candidate]

    @property
    def whole(self) -> list[Candidate]:
        """Those that were scored on all choice images, the best first."""
        return [each for each in self.ranked if each.rank[0]]

    def winners(self, task: Task) -> list[Candidate]:
        """Those that are retrained: the best, or along the front."""
        if task.settings.evolution.method == "nsga2":
            return along(front(self.whole, goals_of(task.budget)), task.settings.winners)
        return self.whole[: task.settings.winners]


def evolved(task: Task, scorer: Scorer, weights: str, interruption: Interruption) -> Found:
    """Look at candidates, and at those of a random search where that is compared.

    Args:
        task: of the search.
        scorer: over the trained supernet.
        weights: what these are known by.
        interruption: asked between candidates.

    Raises:
        BudgetError: nothing that was measured is within the budget.
        ResumeMismatch: the ledger is of another search.
        StoppedError: told to stop; what is scored is kept.
    """
    identity = identity_of(task.settings, task.space, task.data, str(task.budget)) | {"supernet": weights}
    ledger = task.world.led(lambda: open_ledger(task.settings, task.folder, identity))
    try:
        with task.clock.phase("evolution"), interruption.postponed():
            ranked, compared = _evolve(task, scorer, ledger, interruption)
        return Found(ranked, compared, front(ledger.all(), goals_of(task.budget)))
    finally:
        ledger.close()


def _evolve(
    task: Task, scorer: Scorer, ledger: Ledger, interruption: Interruption
) -> tuple[list[Candidate], list[Candidate]]:
    settings, folder, budget, seed = task.settings, task.folder, task.budget, task.settings.seed
    folder.note("evolution")
    looking = Looking(settings, budget, task.space, scorer, task.plan, ledger, interruption)
    if folder.leads:
        _decide(task, looking)
    elif settings.worker:
        wait_until(folder, lambda: "evolution" in folder.plan, "the sizes of the evolution")
    task.world.wait()
    looking.reference_ms = folder.plan.get("reference_ms")
    given, generations = _sized(settings.evolution, folder.plan["evolution"])
    ranked = evolve(task.space, budget, given, generations, seed=seed, evaluate=looking.evaluate)
    if not any(each.rank[0] for each in ranked):
        error = BudgetError(_nothing_measured(ranked, budget))
        error.told = not task.world.first
        raise error
    compared: list[Candidate] = []
    if settings.compare:
        alone = dataclasses.replace(given, method="random", stop_hopeless=True)
        looking.origin = "random search"
        compared = evolve(task.space, budget, alone, generations, seed=seed + 1, evaluate=looking.evaluate)
    return ranked, compared


def _decide(task: Task, looking: Looking) -> None:
    """What latencies are measured against, and sizes that fit into evolution's share of the time, once."""
    kept = task.folder.plan
    looking.reference_ms = kept.get("reference_ms")
    if task.budget.latency_ms is not None and looking.reference_ms is None:
        task.folder.decide(reference_ms=looking.stopwatch.reference_ms)
    why = "as decided before"
    if "evolution" not in kept:
        sizes, why = _fitted(task, looking)
        kept = task.folder.decide(evolution=sizes)
    sizes = kept["evolution"]
    each = f"{sizes['population']} candidates, then as many in {sizes['generations']} generations"
    logger.info("%s", told("evolution:", each, why))


def _fitted(task: Task, looking: Looking) -> tuple[dict[str, int], str]:
    """Population and generations, and why."""
    given, clock = task.settings.evolution, task.clock
    population = given.population
    if given.generations != "auto":
        return {"population": population, "generations": given.generations}, "as given"
    if clock.given_s is None:
        return {"population": population, "generations": FULL_GENERATIONS}, "Single Path One-Shot's"
    each_s = looking.seconds_each() / task.world.size
    share_s = max(0.0, clock.left_s) * EVOLUTION / (1 - SUPERNET)
    clock.plan(share_s)
    count = max(FEWEST, int(share_s / each_s / (2 if task.settings.compare else 1)))
    if count < 3 * population:
        population = max(4, count // 3)
    generations = max(1, min(FULL_GENERATIONS, count // population - 1))
    also = " and as many of a random search" if task.settings.compare else ""
    why = f"{share_s:.0f} s are for them{also}; one takes {each_s:.2f} s"
    return {"population": population, "generations": generations}, why


def _sized(given: Evolution, kept: dict[str, int]) -> tuple[Evolution, int]:
    """Sizes of the evolution as they were decided."""
    scale = kept["population"] / given.population
    sized = dataclasses.replace(
        given,
        population=kept["population"],
        parents=max(2, round(given.parents * min(1, scale))),
        crossover=round(given.crossover * scale),
        mutation=round(given.mutation * scale),
    )
    return sized, kept["generations"]


def _nothing_measured(ranked: Sequence[Candidate], budget: Budget) -> str:
    best = min(ranked, key=lambda each: (each.latency_ms or 0.0, each.memory or 0))
    told = []
    if best.latency_ms is not None:
        told.append(f"{best.latency_ms:.2f} ms")
    if best.memory is not None:
        told.append(f"{best.memory / 1e6:.1f} MB")
    return (
        f"none of {len(ranked)} candidates is within {budget} on this machine; the best of them takes "
        f"{' and '.join(told)} and has {best.macs:,} MACs; a larger budget works"
    )
