"""A space of models: a config that holds choices, and all that follows from it.

    space = Space(config)                 every combination that cannot work is known from here on
    space.count                           how many architectures
    genome = space.sample(generator)      one of them, each equally likely (`sampling.py`)
    space.resolve(genome)                 an ordinary VisionTransformer
    space.cost(genome)                    (MACs, parameters), exact, some microseconds a layer

A genome (`genome.py`) is a tuple of whole numbers, and a path (`walk.py`) through the space's graph
(`lattice.py`). In its canonical form every architecture has one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise, product
from typing import Any, Literal

import numpy as np

from vitreous.errors import ConfigError
from vitreous.models.as_json import KINDS, read, write
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts.description import Description
from vitreous.searching import choice
from vitreous.searching.budget import Budget
from vitreous.searching.choice import Pooled
from vitreous.searching.genome import Gene as Gene
from vitreous.searching.genome import Genome as Genome
from vitreous.searching.genome import check_genome
from vitreous.searching.lattice import Edge, Ends, Lattice, Picks, joined
from vitreous.searching.sampling import draw
from vitreous.searching.variants import Variant, genes_of, variants
from vitreous.searching.walk import Walk as Walk
from vitreous.searching.within import simplified

SLOTS = ("stem", "prefix", "position", "head")


@dataclass(frozen=True, repr=False)
class Space(Description):
    """A config with choices.

    Args:
        config: a VisionTransformer in which `Choice`, `ByStage` or `Pooled` stand.
        longest_share_run: most layers in a row that share attention; None for any number.

    Raises:
        ConfigError: no choices, or options that fit nowhere; names the layer.
    """

    config: VisionTransformer
    longest_share_run: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.genes:
            raise ConfigError(
                f"{self.name}: this config holds no choices, so there is nothing to search; a "
                "Choice((…, …)) in it makes it a space, or `vitreous train` trains it as it is"
            )
        self.lattices  # noqa: B018  every combination is checked here

    @property
    def name(self) -> str:
        """The config's."""
        return self.config.name or "the space"

    @property
    def pools(self) -> int:
        """How many pools a model has."""
        return len(self._pools)

    @cached_property
    def _layers(self) -> tuple[Any, ...]:
        held: Any = self.config.layers
        return held.layers if isinstance(held, Pooled) else held

    @cached_property
    def _pools(self) -> tuple[Any, ...]:
        held: Any = self.config.layers
        return held.pools if isinstance(held, Pooled) else ()

    @cached_property
    def _own_genes(self) -> tuple[list[dict[str, int]], list[dict[str, int]], list[dict[str, int]]]:
        """The genes of the ends, of each pool and of each layer."""
        ends = [genes_of(getattr(self.config, slot), slot) for slot in SLOTS]
        pools = [genes_of(each, f"pool {number + 1}") for number, each in enumerate(self._pools)]
        return ends, pools, [genes_of(each, f"layer {number}") for number, each in enumerate(self._layers)]

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """What each number of a genome says."""
        ends, pools, layers = self._own_genes
        named: list[Gene] = []
        for slot, each in zip(SLOTS, ends, strict=True):
            named += [Gene(f"{slot}{_of(name)}", "option", count) for name, count in each.items()]
        named += [
            Gene(f"pool {number + 1}", "place", len(self._layers) - 1) for number in range(len(self._pools))
        ]
        for what, found in (("pool", pools), ("layer", layers)):
            for number, each in enumerate(found, start=1 if what == "pool" else 0):
                named += [
                    Gene(f"{what} {number}{_of(name)}", "option", count) for name, count in each.items()
                ]
        return tuple(named)

    @cached_property
    def lattices(self) -> tuple[Lattice, ...]:
        """One graph for each way to decide what stands around the layers."""
        ends, pool_genes, layer_genes = self._own_genes
        stages = range(len(self._pools) + 1)
        layers = [
            [_simple(variants(part, genes, stage, f"layer {number}")) for stage in stages]
            for number, (part, genes) in enumerate(zip(self._layers, layer_genes, strict=True))
        ]
        pools = [
            variants(each, genes, number + 1, f"pool {number + 1}")
            for number, (each, genes) in enumerate(zip(self._pools, pool_genes, strict=True))
        ]
        ways = [
            variants(getattr(self.config, slot), genes, 0, slot)
            for slot, genes in zip(SLOTS, ends, strict=True)
        ]
        found: list[Lattice] = []
        refused: ConfigError | None = None
        for decided in product(*ways):
            picks = tuple(pick for each in decided for pick in each.picks)
            around = Ends(picks, *(each.value for each in decided))
            try:
                found.append(Lattice(self.config.image, around, layers, pools, self.longest_share_run))
            except ConfigError as error:
                refused = refused or error
        if not found:
            raise refused or ConfigError(f"{self.name}: no models")
        return tuple(found)

    @cached_property
    def count(self) -> int:
        """How many different architectures there are."""
        return sum(each.ways[0][0] for each in self.lattices)

    def walk(self, genome: Genome) -> Walk:
        """The path of a genome, canonical or not.

        Raises:
            ConfigError: a number that no gene has, or pools out of order.
        """
        check_genome(genome, self.genes, self.name)
        ends, places, pool_picks, layer_picks = self._parts_of(genome)
        lattice = min(
            self.lattices,
            key=lambda it: sum(a != b for a, b in zip(it.ends.picks, ends, strict=True)),
        )
        state, edges, stage = 0, [], 0
        for number in range(len(self._layers)):
            pool = None
            if stage < len(places) and places[stage] == number:
                pool, stage = pool_picks[stage], stage + 1
            edge = lattice.nearest(number, state, pool, layer_picks[number])
            edges.append(edge)
            state = edge.to
        return Walk(lattice, tuple(edges), self._written(lattice, edges))

    def canonical(self, genome: Genome) -> Genome:
        """The genome that stands for this architecture alone; see `walk`."""
        return self.walk(genome).genome

    def cost(self, genome: Genome) -> tuple[int, int]:
        """(MACs, parameters) of one architecture, exactly those of `vitreous.cost`; see `walk`."""
        walk = self.walk(genome)
        return walk.macs, walk.parameters

    def resolve(self, genome: Genome) -> VisionTransformer:
        """The model that a genome stands for, an ordinary value; see `walk`."""
        return self.assembled(self.walk(genome))

    def assembled(self, walk: Walk) -> VisionTransformer:
        """The model of a path."""
        pieces, ends = walk.pieces, walk.lattice.ends
        layers = tuple(
            joined(pool, layer) if edge.pool is not None else layer
            for edge, pool, layer in zip(walk.edges, pieces.pools, pieces.layers, strict=True)
        )
        return replace(
            self.config,
            stem=ends.stem,
            prefix=ends.prefix,
            position=pieces.position,
            layers=layers,
            head=ends.head,
        )

    def sample(self, generator: np.random.Generator, budget: Budget | None = None) -> Genome:
        """A canonical genome; each architecture is equally likely.

        With a budget, only steps are taken from which each exact limit can still be kept by itself: one limit
        is always kept, where any architecture keeps it; of two, one may be passed.

        Args:
            generator: where the draw comes from.
            budget: MACs and parameters that are to be kept.
        """
        return self._written(*draw(self.lattices, generator, budget or Budget()))

    def all(self) -> Iterator[tuple[Genome, int, int]]:
        """Every canonical genome with its MACs and parameters; for spaces that can be counted through."""
        for lattice in self.lattices:
            yield from self._from(lattice, 0, 0, [], lattice.macs, lattice.parameters)

    def _from(
        self, lattice: Lattice, layer: int, state: int, before: list[Edge], macs: int, parameters: int
    ) -> Iterator[tuple[Genome, int, int]]:
        if layer == lattice.depth:
            end = lattice.end[state]
            yield self._written(lattice, before), macs + end[0], parameters + end[1]
            return
        for edge in lattice.edges[layer][state].values():
            now = macs + edge.macs, parameters + edge.parameters
            if lattice.ways[layer + 1][edge.to]:
                yield from self._from(lattice, layer + 1, edge.to, [*before, edge], *now)

    def range_of(self, what: Literal["macs", "parameters"]) -> tuple[int, int]:
        """The least and the largest cost of all architectures."""
        least = min(getattr(it, what) + it.extreme(what)[0][0] for it in self.lattices)
        most = max(getattr(it, what) + it.extreme(what, largest=True)[0][0] for it in self.lattices)
        return int(least), int(most)

    def cheapest(self, what: Literal["macs", "parameters"]) -> Genome:
        """The architecture with the least MACs or parameters."""
        return self._outermost(what, largest=False)

    def dearest(self, what: Literal["macs", "parameters"]) -> Genome:
        """The architecture with the most MACs or parameters."""
        return self._outermost(what, largest=True)

    def _outermost(self, what: Literal["macs", "parameters"], *, largest: bool) -> Genome:
        best = max if largest else min
        togo = [it.extreme(what, largest=largest) for it in self.lattices]
        number = best(
            range(len(togo)), key=lambda each: getattr(self.lattices[each], what) + togo[each][0][0]
        )
        lattice, state, edges = self.lattices[number], 0, []
        for layer in range(lattice.depth):
            edge = best(
                lattice.edges[layer][state].values(),
                key=lambda it: getattr(it, what) + togo[number][layer + 1][it.to],
            )
            edges.append(edge)
            state = edge.to
        return self._written(lattice, edges)

    def to_json(self) -> dict[str, Any]:
        """Plain values that `json.dump` writes; `from_json` gives an equal space back."""
        written: dict[str, Any] = write(self, SPACE_KINDS)
        return written

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Space":
        """What `to_json` wrote, or a config with choices alone.

        Raises:
            ConfigError: anything in it that is not exactly a space; says where.
        """
        found = read(data, "space", SPACE_KINDS)
        if isinstance(found, VisionTransformer):
            return Space(found)
        if not isinstance(found, Space):
            raise ConfigError(f"space: this is not a space but {type(found).__name__}")
        return found

    @cached_property
    def _lengths(self) -> list[int]:
        """Where in a genome what begins: ends, places, picks of each pool, picks of each layer, the end."""
        ends, pools, layers = self._own_genes
        lengths = [sum(map(len, ends)), len(pools), *map(len, pools), *map(len, layers)]
        return [0, *accumulate(lengths)]

    def _parts_of(self, genome: Genome) -> tuple[Picks, Picks, list[Picks], list[Picks]]:
        at = self._lengths
        pieces = [genome[first:last] for first, last in pairwise(at)]
        stages = len(self._pools)
        return pieces[0], pieces[1], pieces[2 : 2 + stages], pieces[2 + stages :]

    def _written(self, lattice: Lattice, edges: list[Edge]) -> Genome:
        places = [number for number, each in enumerate(edges) if each.pool is not None]
        pool_picks = [pick for each in edges if each.pool is not None for pick in each.pool]
        layer_picks = [pick for each in edges for pick in each.picks]
        return (*lattice.ends.picks, *places, *pool_picks, *layer_picks)


def _simple(found: list[Variant]) -> list[Variant]:
    """Without recursions of one turn; of two ways that are then equal, the first."""
    kept: dict[Any, Variant] = {}
    for each in found:
        value = simplified(each.value)
        kept.setdefault(value, Variant(each.picks, value))
    return list(kept.values())


def _of(name: str) -> str:
    return "" if name == "choice" else f" {name.lstrip('.')}"


SPACE_KINDS: dict[str, type[Description]] = {
    **KINDS,
    **{kind.__name__: kind for kind in (*choice.KINDS, Space)},
}
