"""Which path trains at which step: a function of (seed, step), with cost strata.

SPOS draws paths so that all costs near the budget are trained alike (megvii-model/SinglePathOneShot, bins of
10 M over 290 to 360 M): a bin is chosen first, then paths are drawn until one falls into it. Here there are
seven equal bins over 0.88 to 1.09 of the budget, clipped to what the space can reach. After 50 draws that
miss, paths are drawn below the bin's upper end; after 500 the last one is taken.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from vitreous.data.streams import stream
from vitreous.searching.budget import Budget
from vitreous.searching.space import Genome, Space

LOW, HIGH = 0.88, 1.09
ANYWHERE, TRIES = 50, 500


@dataclass(frozen=True)
class Paths:
    """The path of every step.

    Args:
        space: of the supernet.
        budget: whose limit on MACs, or else on parameters, the strata surround; without one all
            architectures are equally likely.
        seed: of the search.
        strata: how many bins; 0 for none.
    """

    space: Space
    budget: Budget
    seed: int
    strata: int = 7

    def of_step(self, step: int) -> Genome:
        """The path that trains at a step."""
        generator = stream(self.seed, "path", step)
        found = self.bins()
        if found is None:
            return self.space.sample(generator)
        what, edges = found
        place = ("macs", "parameters").index(what)
        number = int(generator.integers(len(edges) - 1))
        low, high = edges[number], edges[number + 1]
        below = Budget(macs=int(high)) if what == "macs" else Budget(params=int(high))
        genome = self.space.sample(generator)
        for tried in range(TRIES):
            if low <= self.space.cost(genome)[place] <= high:
                break
            genome = self.space.sample(generator, below if tried >= ANYWHERE else None)
        return genome

    def bins(self) -> tuple[Literal["macs", "parameters"], list[float]] | None:
        """Which cost is stratified, and the edges of the bins; None where the budget sets none."""
        return self._bins

    @cached_property
    def _bins(self) -> tuple[Literal["macs", "parameters"], list[float]] | None:
        limit, what = self.budget.macs, "macs"
        if limit is None:
            limit, what = self.budget.params, "parameters"
        if limit is None or self.strata < 1:
            return None
        least, most = self.space.range_of(what)  # type: ignore[arg-type]
        low, high = max(LOW * limit, least), min(HIGH * limit, most)
        if low >= high:  # the budget is far from all that the space holds
            return None
        edges = [low + (high - low) * number / self.strata for number in range(self.strata + 1)]
        return what, edges  # type: ignore[return-value]
