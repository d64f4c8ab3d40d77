"""A path through a space: what stands in each place of one architecture, and what it costs."""

from dataclasses import dataclass

from vitreous.parts import Block, NoPosition, Part
from vitreous.searching.genome import Genome
from vitreous.searching.lattice import Edge, Lattice, without_carry
from vitreous.searching.within import lending_only_to_takers


@dataclass(frozen=True)
class Pieces:
    """What a path is made of: the position, and for each layer the pool before it, or (), and the layer."""

    position: Part
    pools: tuple[tuple[Part, ...], ...]
    layers: tuple[Part, ...]


@dataclass(frozen=True)
class Walk:
    """A genome's path: its ends, its layers, and its canonical form."""

    lattice: Lattice
    edges: tuple[Edge, ...]
    genome: Genome

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole model."""
        return self.lattice.macs + sum(each.macs for each in self.edges) + self._end[0]

    @property
    def parameters(self) -> int:
        """Parameters of the whole model."""
        return self.lattice.parameters + sum(each.parameters for each in self.edges) + self._end[1]

    @property
    def pieces(self) -> "Pieces":
        """What stands there, without what nobody takes."""
        taken = _positions_taken(self.edges)
        position: Part = self.lattice.ends.position
        if not taken[0]:
            left = without_carry(position)
            position = NoPosition() if not left else left[0] if len(left) == 1 else Block(left)
        pools = tuple(
            edge.pool_parts if taken[number] else without_carry(Block(edge.pool_parts))
            for number, edge in enumerate(self.edges, start=1)
        )
        return Pieces(position, pools, lending_only_to_takers(tuple(edge.part for edge in self.edges)))

    @property
    def _end(self) -> tuple[int, int]:
        return self.lattice.end[self.edges[-1].to if self.edges else 0]


def _positions_taken(edges: tuple[Edge, ...]) -> list[bool]:
    """For the position slot and then for each layer with a pool: whether what it carries is taken."""
    taken = [False] * (len(edges) + 1)
    carrier = 0
    for number, edge in enumerate(edges):
        if edge.pool is not None:
            carrier = number + 1
        taken[carrier] = taken[carrier] or edge.takes_position
    return taken
