"""Drawing from a space: each architecture equally likely, and within a budget where that can be had.

The graph knows how many paths leave each state, so a draw is one step a layer, each way weighed by how many
architectures lie behind it. With a budget, only steps are taken from which each exact limit can still be kept
by itself: one limit is always kept, where any architecture keeps it; of two, one may be passed.
"""

from collections.abc import Sequence

import numpy as np

from vitreous.searching.budget import Budget
from vitreous.searching.lattice import Edge, Lattice


def draw(
    lattices: Sequence[Lattice], generator: np.random.Generator, budget: Budget
) -> tuple[Lattice, list[Edge]]:
    """One path.

    Args:
        lattices: of a space.
        generator: where the draw comes from.
        budget: MACs and parameters that are to be kept.
    """
    limits = {"macs": budget.macs, "parameters": budget.params}
    limited = [name for name, limit in limits.items() if limit]
    spent = [{"macs": it.macs, "parameters": it.parameters} for it in lattices]
    open_to = [
        number
        for number, it in enumerate(lattices)
        if _can(limits, spent[number], {name: it.least[name][0][0] for name in limited})
    ] or range(len(lattices))
    weights = [float(lattices[number].ways[0][0]) for number in open_to]
    chosen = list(open_to)[_drawn(weights, generator)]
    lattice, cost, state, edges = lattices[chosen], spent[chosen], 0, []
    for layer in range(lattice.depth):
        found = list(lattice.edges[layer][state].values())
        after = [{name: cost[name] + getattr(it, name) for name in cost} for it in found]
        fits = [
            number
            for number, it in enumerate(found)
            if _can(limits, after[number], {name: lattice.least[name][layer + 1][it.to] for name in limited})
        ] or range(len(found))
        ways = [float(lattice.ways[layer + 1][found[number].to]) for number in fits]
        number = list(fits)[_drawn(ways, generator)]
        edges.append(found[number])
        cost, state = after[number], found[number].to
    return lattice, edges


def _can(limits: dict[str, int | None], spent: dict[str, int], togo: dict[str, float]) -> bool:
    return all(limit is None or spent[name] + togo[name] <= limit for name, limit in limits.items())


def _drawn(weights: list[float], generator: np.random.Generator) -> int:
    total = np.cumsum(np.asarray(weights) / sum(weights))
    return min(int(np.searchsorted(total, generator.random(), side="right")), len(weights) - 1)
