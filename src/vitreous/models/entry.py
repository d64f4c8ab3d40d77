"""One named model of the catalog; each family's file lists its own in `ENTRIES`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vitreous.models.vision_transformer import VisionTransformer

AUTHORS, PAPER, OURS = "authors' code", "paper", "ours"

Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entry:
    """One named model.

    Args:
        family: the function that makes the config.
        numbers: the family's arguments for this size.
        image_size: height and width in pixels unless the user says otherwise.
        source: where the architecture comes from: authors' code, paper or ours.
        paper: short title and arXiv number.
        aliases: what papers call it.
        change: what is done to the config afterwards, such as `lape`; its arguments beside the config are
            switches too.
        names: the released code's names for the weights, for reading its checkpoints.
    """

    family: Callable[..., VisionTransformer]
    numbers: dict[str, Any]
    image_size: int
    source: str
    paper: str
    aliases: tuple[str, ...] = field(default=())
    change: Callable[..., VisionTransformer] | None = None
    names: Callable[[VisionTransformer], Names] | None = None
