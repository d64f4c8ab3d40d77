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


DROP_PATH_RULES: tuple[type[DropPathRule], ...] = (LinearDropPath,)
