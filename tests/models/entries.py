"""The named models at a size for tests: how each family's are shrunk, and each value once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vitreous.models import VisionTransformer, config
from vitreous.models.catalog import CATALOG
from vitreous.models.deit import deit
from vitreous.models.eit import eit
from vitreous.models.lsra import lsra
from vitreous.models.psvit import psvit_1d, psvit_2d


@dataclass(frozen=True)
class Shrunk:
    """How the named models of a family become small enough for every claim.

    Args:
        switches: the family's arguments, instead of the named size's.
        image_size: pixels of both sides.
        rectangle: height and width that the idea takes as well; where it takes none, a size that it refuses.
        refuses: the sentence that a rectangle is refused with; None where it is not.
        unreached: weights that the head leaves without gradient, for the reason in the family's own file.
    """

    switches: dict[str, Any]
    image_size: int = 16
    rectangle: tuple[int, int] = (16, 24)
    refuses: str | None = None
    unreached: frozenset[str] = frozenset()


STEM = {"kernel": 3, "stride": 1, "pool": 4}
SHRUNK: dict[Callable[..., VisionTransformer], Shrunk] = {
    deit: Shrunk({"width": 16, "depth": 2, "heads": 2, "patch": 4}),
    eit: Shrunk({"width": 16, "depth": 2, "heads": 2, **STEM}),
    lsra: Shrunk(
        {"width": 16, "depth": 2, "heads": 2, **STEM},
        unreached=frozenset({"layers.1.branches.0.mixer.mixers.0.conv.weight"}),
    ),
    psvit_1d: Shrunk({"genes": "NSPS", "dims": (8, 12), "heads": (2, 3), "patch": 4}),
    psvit_2d: Shrunk({"genes": "NSPS", "dims": (8, 16), "heads": (2, 4), "patch": 4}),
}


def shrink(name: str, **changes: Any) -> VisionTransformer:
    """A named model with seven classes at a size for tests; `changes` are arguments of `config`."""
    shrunk = SHRUNK[CATALOG[name].family]
    return config(name, **{"image_size": shrunk.image_size, "classes": 7, **shrunk.switches, **changes})


def _each_value_once() -> dict[str, VisionTransformer]:
    """The catalog, shrunk; what shrinks to an equal value has the name of the first."""
    small: dict[VisionTransformer, str] = {}
    for name, entry in CATALOG.items():
        if entry.family not in SHRUNK:
            continue
        small.setdefault(shrink(name), name)
    return {name: value for value, name in small.items()}


ENTRIES = _each_value_once()
