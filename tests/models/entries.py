"""The named models at a size for tests: how each family's are shrunk, and each value once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vitreous.models import VisionTransformer, config
from vitreous.models.catalog import CATALOG
from vitreous.models.compact import cct, cvt, vit_lite
from vitreous.models.deit import deit
from vitreous.models.eit import eit
from vitreous.models.feed_forward import attention_only, feed_forward
from vitreous.models.hybrid import hybrid
from vitreous.models.lsra import lsra
from vitreous.models.mlp_mixer import mlp_mixer
from vitreous.models.pit import pit
from vitreous.models.psvit import psvit_1d, psvit_2d
from vitreous.models.recursive import extremely_deep
from vitreous.models.sret import sret
from vitreous.models.swin import swin
from vitreous.models.t2t_vit import t2t_vit


@dataclass(frozen=True)
class Shrunk:
    """How the named models of a family become small enough for every claim.

    Args:
        switches: the family's arguments, instead of the named size's.
        image_size: pixels of both sides.
        rectangle: height and width that the family takes as well.
        unreached: weights that the head leaves without gradient, for the reason in the family's own file.
    """

    switches: dict[str, Any]
    image_size: int = 16
    rectangle: tuple[int, int] = (16, 24)
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
    feed_forward: Shrunk(
        {"width": 16, "depth": 2, "patch": 4},
        unreached=frozenset({"layers.1.branches.1.part.narrow.bias"}),
    ),
    attention_only: Shrunk(
        {"width": 16, "depth": 2, "heads": 2, "patch": 4},
        unreached=frozenset({"layers.1.branches.1.part.mixer.project.bias"}),
    ),
    mlp_mixer: Shrunk(
        {"width": 16, "depth": 2, "token_hidden": 8, "patch": 4},
        unreached=frozenset(f"layers.{number}.branches.0.mixer.narrow.bias" for number in range(2)),
    ),
    vit_lite: Shrunk({"width": 16, "depth": 2, "heads": 2, "ratio": 1}),
    cvt: Shrunk(
        {"width": 16, "depth": 2, "heads": 2, "ratio": 1}, unreached=frozenset({"head.attention.bias"})
    ),
    cct: Shrunk(
        {"width": 16, "depth": 2, "heads": 2, "ratio": 1, "kernel": 3},
        unreached=frozenset({"head.attention.bias"}),
    ),
    # 14 slices of 14×14 tokens take sides such as 56 and 28.
    sret: Shrunk(
        {
            "head_width": 4,
            "heads": (1, 2, 4),
            "blocks": (1, 1, 1),
            "ratio": 2,
            "between_ratio": 1,
            "halvings": 1,
        },
        image_size=56,  # 28, 14 and 7 tokens a side, which all slices of the named models divide
        rectangle=(28, 64),
        unreached=frozenset({"stem.convs.0.bias"}),
    ),
    extremely_deep: Shrunk({"width": 16, "heads": 2, "blocks": 2, "times": 3, "patch": 4}),
    hybrid: Shrunk({"widths": (8, 16), "heads": 2, "ratio": 2, "first": 4, "blocks": 2}),
    pit: Shrunk({"width": 8, "depths": (1, 2), "heads": 2, "patch": 4, "stride": 2}),
    swin: Shrunk({"width": 8, "depths": (2, 2), "heads": (2, 2), "window": 2, "patch": 2}),
    t2t_vit: Shrunk(
        {"width": 16, "depth": 2, "heads": 2, "ratio": 2, "inner": 8}, image_size=32, rectangle=(32, 48)
    ),
}


def shrink(name: str, **changes: Any) -> VisionTransformer:
    """A named model with seven classes at a size for tests; `changes` are arguments of `config`."""
    shrunk = SHRUNK[CATALOG[name].family]
    return config(name, **{"image_size": shrunk.image_size, "classes": 7, **shrunk.switches, **changes})


def _each_value_once() -> dict[str, VisionTransformer]:
    """The catalog, shrunk; what shrinks to an equal value has the name of the first."""
    small: dict[VisionTransformer, str] = {}
    for name in CATALOG:
        small.setdefault(shrink(name), name)
    return {name: value for value, name in small.items()}


ENTRIES = _each_value_once()
