"""A genome: one architecture of a space as whole numbers, one for each gene.

The order is that of the model: picks of choices around the layers, the layers that pools stand before, the
picks inside pools, the picks of each layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vitreous.errors import ConfigError

Genome = tuple[int, ...]


@dataclass(frozen=True)
class Gene:
    """One number of a genome.

    Args:
        name: where it stands: `stem`, `pool 1`, `layer 3.mixer`.
        kind: `option` of a choice, or `place` of a pool, which is the number of a layer.
        options: how many values: 0 … options − 1, or layers 1 … options.
    """

    name: str
    kind: Literal["option", "place"]
    options: int


def check_genome(genome: Genome, genes: Sequence[Gene], space: str) -> None:
    """Raises ConfigError where a genome is none of these genes, or its pools are out of order."""
    if len(genome) != len(genes):
        raise ConfigError(f"a genome of {space} has {len(genes)} numbers, not {len(genome)}")
    places = []
    for gene, pick in zip(genes, genome, strict=True):
        first = 1 if gene.kind == "place" else 0
        if not first <= pick < gene.options + first:
            raise ConfigError(f"genome: {gene.name} is {pick}; {first} to {gene.options - 1 + first} work")
        if gene.kind == "place":
            places.append(pick)
    if sorted(set(places)) != places:
        raise ConfigError(f"genome: pools before layers {places}; each stands behind the one before")
