"""Whether a budget can be met at all, said before anything is trained."""

import numpy as np

from vitreous.searching.budget import Budget, BudgetError
from vitreous.searching.space import Genome, Space

DRAWS = 2000
UNITS = {"macs": "MACs", "parameters": "parameters"}


def check_budget(space: Space, budget: Budget) -> Genome:
    """An architecture within the exact limits.

    Raises:
        BudgetError: there is none, or of two limits at once none was found; says the cheapest.
    """
    limits = {"macs": budget.macs, "parameters": budget.params}
    for what, limit in limits.items():
        least, _ = space.range_of(what)  # type: ignore[arg-type]
        if limit is not None and least > limit:
            other = space.cost(space.cheapest(what))  # type: ignore[arg-type]
            raise BudgetError(
                f"no architecture of {space.name} has {limit:,} {UNITS[what]} or fewer: the cheapest has "
                f"{other[0]:,} MACs and {other[1]:,} parameters; a larger budget or a smaller space works"
            )
    generator = np.random.default_rng(0)
    for _ in range(DRAWS):
        genome = space.sample(generator, budget)
        if budget.allows(*space.cost(genome)):
            return genome
    if space.count <= 100_000:
        for genome, *costs in space.all():
            if budget.allows(*costs):
                return genome
    cheapest = [space.cost(space.cheapest(what)) for what in ("macs", "parameters")]  # type: ignore[arg-type]
    raise BudgetError(
        f"no architecture of {space.name} was found within {budget}: the one with the fewest MACs has "
        f"{cheapest[0][0]:,} and {cheapest[0][1]:,} parameters, the one with the fewest parameters "
        f"{cheapest[1][1]:,} and {cheapest[1][0]:,} MACs; a larger budget works"
    )
