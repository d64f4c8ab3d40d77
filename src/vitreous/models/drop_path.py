"""How much of the recipe's drop-path rate each layer gets.

Huang et al., arXiv 1603.09382: layers are dropped more often the deeper they stand. The rate itself belongs
to the recipe; how it is spread over depth belongs to the model.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.parts.description import Description


@dataclass(frozen=True, repr=False)
class DropPathRule(Description):
    """Describes how drop path is spread over the layers."""

    @abstractmethod
    def shares(self, droppable: Sequence[bool]) -> list[float]:
        """For each layer the share of the rate, 0 to 1; `droppable` says which have a branch to drop."""


@dataclass(frozen=True, repr=False)
class LinearDropPath(DropPathRule):
    """0 in the first layer that has a branch to drop, growing linearly to 1 in the last (DeiT, timm)."""

    def shares(self, droppable: Sequence[bool]) -> list[float]:
        """Layers without branches, such as pools, do not count."""
        last = max(1, sum(droppable) - 1)
        return [min(1.0, sum(droppable[:number]) / last) for number in range(len(droppable))]


@dataclass(frozen=True, repr=False)
class RecursiveDropPath(DropPathRule):
    """SReT's released rule: (applications in earlier stages + blocks before in this one) / all applications.

    A stage is what stands between layers without a branch to drop (pools). Earlier stages count every turn,
    the own stage counts blocks, so that the share jumps at a pool and never reaches 1: with 2, 5 and 3 blocks
    of 2 turns it is 0 and 1/20, 4/20 to 8/20, 14/20 to 16/20. All turns of a block share one rate and draw
    anew.

    Args:
        times: turns of each block.
    """

    times: int

    def shares(self, droppable: Sequence[bool]) -> list[float]:
        """Layers without branches end a stage and do not count."""
        given, before, here = [], 0, 0
        for drops in droppable:
            given.append((self.times * before + here) / max(1, self.times * sum(droppable)))
            before, here = (before, here + 1) if drops else (before + here, 0)
        return given


DROP_PATH_RULES: tuple[type[DropPathRule], ...] = (LinearDropPath, RecursiveDropPath)
