"""How evolution makes a genome out of one or two others; what comes back is canonical and can be built.

mutation    each gene of a choice is drawn anew with probability 0.1, as SPOS does (megvii-model/
            SinglePathOneShot, `search.py`); each pool's place changes with probability 0.2: by one layer
            up or down, or in one of ten cases to any layer. AutoFormer (microsoft/Cream) also moves what
            all layers depend on more often. The places' figures are ours
crossover   each gene from either parent
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vitreous.searching.space import Genome, Space

TRIES = 100


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """Probabilities, each 0 to 1.

    Args:
        gene: that a choice is drawn anew.
        place: that a pool moves.
        jump: of a pool that moves, that it goes to any layer.
    """

    gene: float = 0.1
    place: float = 0.2
    jump: float = 0.1


def mutated(
    space: Space, genome: Genome, generator: np.random.Generator, rates: Mutation | None = None
) -> Genome:
    """A genome that differs here and there; where pools would cross, the places are drawn once more."""
    rates = rates or Mutation()
    for _ in range(TRIES):
        child = []
        for gene, pick in zip(space.genes, genome, strict=True):
            if gene.kind == "option":
                anew = generator.random() < rates.gene
                child.append(int(generator.integers(gene.options)) if anew else pick)
            elif generator.random() < rates.place:
                if generator.random() < rates.jump:
                    child.append(int(generator.integers(gene.options)) + 1)
                else:
                    child.append(min(max(pick + int(generator.choice((-1, 1))), 1), gene.options))
            else:
                child.append(pick)
        if in_order(space, child):
            return space.canonical(tuple(child))
    return genome


def crossed(space: Space, first: Genome, second: Genome, generator: np.random.Generator) -> Genome:
    """A genome with each gene from either parent; where pools would cross, it is drawn once more."""
    for _ in range(TRIES):
        take = generator.random(len(first)) < 0.5
        child = [a if mine else b for a, b, mine in zip(first, second, take, strict=True)]
        if in_order(space, child):
            return space.canonical(tuple(child))
    return first


def in_order(space: Space, genome: list[int]) -> bool:
    """Whether each pool stands behind the one before."""
    places = [pick for gene, pick in zip(space.genes, genome, strict=True) if gene.kind == "place"]
    return all(a < b for a, b in pairwise(places))
