"""A space as a graph: layer by layer the shapes that tokens may have, and the ways from one to the next.

Each path from the stem to the head is one architecture, each architecture one path. So counting, drawing
uniformly, the cheapest and the dearest are sums and minima over a few hundred edges, whatever the number of
paths; and the cost of a candidate is a dozen look-ups, exact. Ours.

What cannot stand where it is (a share without a lender before it, as behind a pool) is no edge. Picks that
ask for it get the nearest that can: fewest picks changed, the first options first. So PSViT's sharing bits at
pool positions, which mean nothing, are 0 in every canonical genome.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from vitreous.analysis.cost import parameters_of
from vitreous.errors import ConfigError
from vitreous.parts import (
    Block,
    CarryPosition,
    Head,
    ImageShape,
    JoinPosition,
    LaPE,
    Part,
    SharedAttention,
    Stem,
    TokenShape,
)
from vitreous.searching.variants import Variant
from vitreous.searching.within import holds

Picks = tuple[int, ...]


@dataclass(frozen=True)
class Ends:
    """What stands around the layers, decided."""

    picks: Picks
    stem: Stem
    prefix: Part
    position: Part
    head: Head


@dataclass(frozen=True)
class State:
    """Where a path stands before a layer.

    Args:
        stage: pools so far.
        shape: of the tokens.
        unpaid: parameters of a carried position that no layer has taken yet: nobody carries it in vain.
        run: layers in a row that share, counted where the space limits them.
    """

    stage: int
    shape: TokenShape
    unpaid: int = 0
    run: int = 0


@dataclass(frozen=True)
class Edge:
    """One layer at one place, and the pool before it where there is one.

    Args:
        pool: picks of the pool, None without one.
        picks: of the layer.
        pool_parts, part: what stands there.
        macs, parameters: of all of it.
        to: number of the state behind it.
        takes_position: whether it takes the carried position.
    """

    pool: Picks | None
    picks: Picks
    pool_parts: tuple[Part, ...]
    part: Part
    macs: int
    parameters: int
    to: int
    takes_position: bool


class Lattice:
    """The graph of a space for one way to decide its ends.

    Args:
        image: what the models are built for.
        ends: decided.
        layers: for each layer and stage, its variants.
        pools: for each pool, its variants.
        longest_share_run: most layers in a row that share; None for any number.

    Raises:
        ConfigError: ends that do not fit, or a layer that fits nowhere; names it.
    """

    def __init__(
        self,
        image: ImageShape,
        ends: Ends,
        layers: Sequence[Sequence[Sequence[Variant]]],
        pools: Sequence[Sequence[Variant]],
        longest_share_run: int | None = None,
    ) -> None:
        self.ends, self.image = ends, image
        self.depth, self._pools, self._longest = len(layers), pools, longest_share_run
        start = self._start(image)
        self.states: list[list[State]] = [[start]]
        self.edges: list[list[dict[tuple[Picks | None, Picks], Edge]]] = []
        self._refused: dict[tuple[int, Picks], str] = {}
        for number in range(self.depth):
            self._add_layer(number, layers[number])
        self.end = [self._head(each) for each in self.states[-1]]

    def _start(self, image: ImageShape) -> State:
        ends = self.ends
        self.macs = ends.stem.macs(image).total
        self.parameters = _named("stem", ends.stem, image)
        shape, unpaid = ends.stem.out_shape(image), 0
        self.macs += ends.prefix.macs(shape).total
        self.parameters += _named("prefix", ends.prefix, shape)
        shape = ends.prefix.out_shape(shape)
        for part in branches(ends.position):
            count = _named("position", part, shape)
            if isinstance(part, CarryPosition):
                unpaid = count
            else:
                self.parameters += count
            self.macs += part.macs(shape).total
            shape = part.out_shape(shape)
        return State(0, shape, unpaid)

    def _head(self, state: State) -> tuple[int, int]:
        """MACs and parameters of the head."""
        return self.ends.head.macs(state.shape).total, _named("head", self.ends.head, state.shape)

    def _add_layer(self, number: int, by_stage: Sequence[Sequence[Variant]]) -> None:
        reached: dict[State, int] = {}
        edges: list[dict[tuple[Picks | None, Picks], Edge]] = []
        fitted: set[Picks] = set()
        left = self.depth - number - 1
        for state in self.states[-1]:
            found: dict[tuple[Picks | None, Picks], Edge] = {}
            missing = len(self._pools) - state.stage
            ways: list[Variant | None] = [None] if missing <= left else []
            if number and missing:
                ways += self._pools[state.stage]
            for pool in ways:
                for variant in by_stage[state.stage + (pool is not None)]:
                    edge = self._edge(number, state, pool, variant, reached)
                    if edge is not None:
                        found[edge.pool, edge.picks] = edge
                        fitted.add(edge.picks)
            edges.append(found)
        for (layer, picks), reason in self._refused.items():
            if layer == number and picks not in fitted:
                raise ConfigError(f"layer {number}, picks {picks or 'none'}: {reason}")
        self.states.append(list(reached))
        self.edges.append(edges)

    def _edge(
        self, number: int, state: State, pool: Variant | None, variant: Variant, reached: dict[State, int]
    ) -> Edge | None:
        shape, unpaid, macs, parameters = state.shape, state.unpaid, 0, 0
        try:
            for part in pool.value if pool else ():
                count = parameters_of(part, shape)
                if isinstance(part, CarryPosition):
                    unpaid = count
                else:
                    parameters += count
                macs += part.macs(shape).total
                shape = part.out_shape(shape)
            if pool and shape.position is None:
                unpaid = 0
            part = variant.value
            parameters += parameters_of(part, shape)
            macs += part.macs(shape).total
            shape = part.out_shape(shape)
        except ConfigError as error:
            self._refused.setdefault((number, variant.picks), str(error))
            return None
        takes = holds(part, (LaPE, JoinPosition))
        if takes:
            parameters, unpaid = parameters + unpaid, 0
        shares = holds(part, (SharedAttention,))
        run = state.run + 1 if shares and self._longest is not None else 0
        if self._longest is not None and run > self._longest:
            return None
        after = State(state.stage + (pool is not None), shape, unpaid, run)
        to = reached.setdefault(after, len(reached))
        pool_picks = pool.picks if pool else None
        pool_parts = pool.value if pool else ()
        return Edge(pool_picks, variant.picks, pool_parts, part, macs, parameters, to, takes)

    def nearest(self, layer: int, state: int, pool: Picks | None, picks: Picks) -> Edge:
        """The edge with these picks, or with the nearest that can stand there.

        Raises:
            ConfigError: nothing can.
        """
        edges = self.edges[layer][state]
        found = edges.get((pool, picks))
        if found is not None:
            return found
        others = [each for (before, _), each in edges.items() if before == pool]
        if not others:
            raise ConfigError(f"layer {layer}: none of its options can stand there")
        return min(
            others,
            key=lambda it: (sum(a != b for a, b in zip(it.picks, picks, strict=True)), it.picks),
        )

    @cached_property
    def ways(self) -> list[list[int]]:
        """For each state before each layer, and behind the last, how many paths lead to the head."""
        ways = [[1] * len(self.states[-1])]
        for edges in reversed(self.edges):
            ways.insert(0, [sum(ways[0][each.to] for each in found.values()) for found in edges])
        return ways

    def extreme(self, what: str, *, largest: bool = False) -> list[list[float]]:
        """The least or largest cost from each state to the end; `what` is `macs` or `parameters`."""
        place = ("macs", "parameters").index(what)
        none = float("-inf") if largest else float("inf")
        togo: list[list[float]] = [[float(end[place]) for end in self.end]]
        for edges in reversed(self.edges):
            costs = [[getattr(it, what) + togo[0][it.to] for it in found.values()] for found in edges]
            togo.insert(0, [(max if largest else min)(each, default=none) for each in costs])
        return togo

    @cached_property
    def least(self) -> dict[str, list[list[float]]]:
        """`extreme` with the least of both costs."""
        return {what: self.extreme(what) for what in ("macs", "parameters")}


def branches(part: Part) -> tuple[Part, ...]:
    """The parts of a block, or the part alone."""
    return part.branches if isinstance(part, Block) else (part,)


def without_carry(part: Part) -> tuple[Part, ...]:
    """The same, without a carried position that nobody takes."""
    return tuple(each for each in branches(part) if not isinstance(each, CarryPosition))


def joined(pool: tuple[Part, ...], layer: Part) -> Part:
    """A pool and the layer behind it as one layer, as PSViT writes it."""
    return (
        replace(layer, branches=(*pool, *layer.branches))
        if isinstance(layer, Block)
        else Block((*pool, layer))
    )


def _named(slot: str, part: Stem | Part | Head, shape: ImageShape | TokenShape) -> int:
    try:
        return parameters_of(part, shape)
    except ConfigError as error:
        raise ConfigError(f"{slot}, {error}") from None
