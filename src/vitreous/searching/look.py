"""Looking at candidates: claim, measure, score, write down, one after another, beside other processes."""

import statistics
import time
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from vitreous.data.progress import counted
from vitreous.errors import StoppedError
from vitreous.searching.budget import Budget
from vitreous.searching.evolve import Proposal
from vitreous.searching.ledger import Candidate, Ledger
from vitreous.searching.measure import Stopwatch
from vitreous.searching.score import Scorer
from vitreous.searching.settings import SearchSettings
from vitreous.searching.space import Space
from vitreous.training.interruption import Interruption
from vitreous.training.plan import Plan
from vitreous.training.processes import this_process

LEDGER_S = 0.02  # writing a candidate down


class Looking:
    """Scores proposals through the ledger.

    Args:
        settings, budget, space: of the search.
        scorer: over the trained supernet.
        plan: gives device and precision.
        ledger: what is known, and what others do.
        interruption: asked between candidates.
    """

    def __init__(
        self,
        settings: SearchSettings,
        budget: Budget,
        space: Space,
        scorer: Scorer,
        plan: Plan,
        ledger: Ledger,
        interruption: Interruption,
    ) -> None:
        self._settings, self._budget, self._space = settings, budget, space
        self._scorer, self._plan, self._ledger, self._interruption = scorer, plan, ledger, interruption
        self.reference_ms: float | None = None
        self.origin: str | None = None

    def evaluate(self, proposals: Sequence[Proposal], least: float | None) -> list[Candidate]:
        """What is known of all proposals, once it is.

        Raises:
            StoppedError: told to stop; what is scored is kept.
        """
        by_genome = {each.genome: each for each in proposals}
        waiting = self._ledger.wait(list(by_genome))
        if this_process().first:
            waiting = counted(waiting, len(by_genome), "scoring candidates")
        for genome in waiting:
            if self._interruption.requested is not None:
                raise StoppedError(
                    f"stopped by {self._interruption.requested.name} between two candidates; the same "
                    "command continues",
                    self._interruption.exit_code,
                )
            number = self._ledger.claim(genome)
            if number is None:
                time.sleep(0.05)
                continue
            try:
                seen = self._look(by_genome[genome], least)
            except BaseException:
                self._ledger.give_up(number)
                raise
            self._ledger.finish(number, seen)
        found = [self._ledger.candidate(each.genome) for each in proposals]
        return [each for each in found if each is not None]

    def seconds_each(self) -> float:
        """How long a candidate takes on this machine: its score, what is measured, and the ledger."""
        taken = score_seconds(self._scorer, self._space, self._budget) + LEDGER_S
        genome = self._space.sample(np.random.default_rng(0), self._budget)
        self._measured(genome)  # the first also measures the reference
        begin = time.perf_counter()
        self._measured(genome)
        return taken + time.perf_counter() - begin

    @cached_property
    def stopwatch(self) -> Stopwatch:
        """Measures against the cheapest architecture."""
        image = self._space.config.image
        shape = (self._settings.latency_batch, image.channels, image.height, image.width)
        reference = self._scorer.net.cut_out(self._space.cheapest("macs"))
        return Stopwatch(
            reference,
            torch.zeros(shape, device=self._plan.device),
            self._plan.precision,
            self.reference_ms,
        )

    def _look(self, proposal: Proposal, least: float | None) -> Candidate:
        genome = proposal.genome
        macs, params = self._space.cost(genome)
        latency_ms, memory = self._measured(genome)
        within = (latency_ms is None or latency_ms <= self._limit("latency_ms")) and (
            memory is None or memory <= self._limit("memory")
        )
        score = self._scorer.score(genome, least=least) if within else None
        return Candidate(
            genome=genome,
            macs=macs,
            params=params,
            top1=None if score is None else score.top1,
            images=0 if score is None else score.images,
            stopped=False if score is None else score.stopped,
            seconds=0.0 if score is None else round(score.seconds, 3),
            latency_ms=latency_ms,
            memory=memory,
            generation=proposal.generation,
            origin=self.origin or proposal.origin,
            seed=self._settings.seed,
        )

    def _measured(self, genome: tuple[int, ...]) -> tuple[float | None, int | None]:
        if self._budget.latency_ms is None and self._budget.memory is None:
            return None, None
        model = self._scorer.net.cut_out(genome)
        latency = None if self._budget.latency_ms is None else self.stopwatch.latency_ms(model)
        return latency, None if self._budget.memory is None else self.stopwatch.memory(model)

    def _limit(self, name: str) -> float:
        limit = getattr(self._budget, name)
        return float("inf") if limit is None else float(limit)


def score_seconds(scorer: Scorer, space: Space, budget: Budget) -> float:
    """Mean seconds of a few scores on all choice images, after one to warm up; weights do not matter."""
    generator = np.random.default_rng(0)
    taken = [scorer.score(space.sample(generator, budget)).seconds for _ in range(4)]
    return statistics.mean(taken[1:])
