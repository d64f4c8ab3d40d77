"""What stands in a config where something is still to be chosen: a config with such values is a space.

    Choice((Attention(3), SharedAttention(3)))     one of these; what is chosen is a gene
    ByStage((3, 6, 12))                            no gene: the value for the stage that the layer is in
    Pooled(layers, pools)                          in the slot `layers`: before which layer each pool stands
                                                   is chosen, and begins a stage

All three may stand anywhere that their options may stand, numbers included, and inside each other. Ours.
"""

from dataclasses import dataclass
from typing import Any, NoReturn, get_args, get_origin

from vitreous.errors import ConfigError
from vitreous.parts import Part
from vitreous.parts.description import Undecided, fits


@dataclass(frozen=True, repr=False)
class Unresolved(Undecided):
    """Base of the three; asked for what only a decided part can tell, it says so."""

    def _refuse(self, *_: object) -> NoReturn:
        raise ConfigError(
            f"{type(self).__name__}: nothing is chosen here yet; this is a space of models, and "
            "vitreous.searching.space.Space(config).resolve(genome) gives one of them"
        )

    out_shape = build = macs = _refuse


@dataclass(frozen=True, repr=False)
class Choice(Unresolved):
    """One of several options.

    Args:
        options: at least two, all different: parts, numbers, tuples of them; further choices inside.
        name: choices of one name in one layer are one gene and are picked alike; "" for a gene of its own.
    """

    options: tuple[Any, ...]
    name: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.options)) < max(2, len(self.options)):
            raise ConfigError(
                f"Choice: {len(self.options)} options, {len(set(self.options))} of them different; it takes "
                "two or more that all differ"
            )

    def could_be(self, hint: Any) -> bool:
        """Whether every option is of this type."""
        return all(fits(each, hint) for each in self.options)


@dataclass(frozen=True, repr=False)
class ByStage(Unresolved):
    """A value for each stage: before the first pool, between it and the second, and so on."""

    values: tuple[Any, ...]

    def could_be(self, hint: Any) -> bool:
        """Whether every stage's value is of this type."""
        return all(fits(each, hint) for each in self.values)


@dataclass(frozen=True, repr=False)
class Pooled(Unresolved):
    """Layers, and pools that stand in front of some of them: which is chosen.

    Args:
        layers: without pools; none is put before the first.
        pools: for each pool, in order, the parts that stand in front of a layer and begin a stage.
    """

    layers: tuple[Any, ...]
    pools: tuple[tuple[Any, ...], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.pools) >= len(self.layers):
            raise ConfigError(
                f"Pooled: {len(self.pools)} pools do not find a layer each among {len(self.layers)} layers, "
                f"none before the first; up to {len(self.layers) - 1} do"
            )

    def could_be(self, hint: Any) -> bool:
        """Whether these are layers."""
        inner = get_args(hint)
        parts = [*self.layers, *(each for pool in self.pools for each in pool)]
        return get_origin(hint) is tuple and inner[-1] is Ellipsis and all(fits(it, Part) for it in parts)


KINDS: tuple[type[Unresolved], ...] = (Choice, ByStage, Pooled)
