"""All named models: a name, the family's function, its numbers, and where they come from.

Names are family first, size last; image size, classes and channels are arguments of `config`, and so is
every argument of the family's function as a switch. The papers' own names are aliases.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, get_type_hints

from vitreous.errors import ConfigError, did_you_mean
from vitreous.models import deit, eit, lsra
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import ImageShape
from vitreous.parts.description import fits, in_words

AUTHORS, PAPER, OURS = "authors' code", "paper", "ours"


@dataclass(frozen=True)
class Entry:
    """One named model.

    Args:
        family: the function that makes the config.
        numbers: the family's arguments for this size.
        image_size: height and width in pixels unless the user says otherwise.
        source: authors' code, paper or ours.
        aliases: what papers call it.
    """

    family: Callable[..., VisionTransformer]
    numbers: dict[str, Any]
    image_size: int
    source: str
    aliases: tuple[str, ...] = field(default=())


CATALOG: dict[str, Entry] = {
    "deit_tiny": Entry(deit.deit, deit.SIZES["tiny"], 224, AUTHORS, ("DeiT-Ti",)),
    "deit_small": Entry(deit.deit, deit.SIZES["small"], 224, AUTHORS, ("DeiT-S",)),
    "deit_base": Entry(deit.deit, deit.SIZES["base"], 224, AUTHORS, ("DeiT-B",)),
    # EIT's control: its small-image model with 4×4 patches, a position table and plain attention.
    "vit_small_image": Entry(
        eit.eit, {**eit.SIZES["small_image"], "patch": 4, "eit_t": False, "position": True}, 32, OURS
    ),
    "eit_mini": Entry(eit.eit, eit.SIZES["mini"], 224, AUTHORS, ("EIT16/4/3-Mini",)),
    "eit_tiny": Entry(eit.eit, eit.SIZES["tiny"], 224, AUTHORS, ("EIT16/4/3-Tiny",)),
    "eit_base": Entry(eit.eit, eit.SIZES["base"], 224, AUTHORS, ("EIT16/4/3-Base",)),
    "eit_large": Entry(eit.eit, eit.SIZES["large"], 224, AUTHORS, ("EIT16/4/3-Large",)),
    "eit_small_image": Entry(eit.eit, eit.SIZES["small_image"], 32, OURS, ("EIT3/1/4",)),
    "eit_digits": Entry(eit.eit, eit.SIZES["digits"], 8, OURS),
    "lsra_mini": Entry(lsra.lsra, lsra.SIZES["mini"], 224, OURS),
    "lsra_tiny": Entry(lsra.lsra, lsra.SIZES["tiny"], 224, OURS),
    "lsra_base": Entry(lsra.lsra, lsra.SIZES["base"], 224, OURS),
    "lsra_large": Entry(lsra.lsra, lsra.SIZES["large"], 224, OURS),
    "lsra_small_image": Entry(lsra.lsra, lsra.SIZES["small_image"], 32, OURS),
}


def list_models(pattern: str = "*") -> list[str]:
    """Catalog names that match a shell pattern such as `*eit*`, in alphabetical order."""
    return sorted(name for name in CATALOG if fnmatchcase(name, pattern.lower()))


def config(
    name: str,
    *,
    image_size: int | tuple[int, int] | None = None,
    classes: int = 1000,
    channels: int = 3,
    **switches: Any,
) -> VisionTransformer:
    """The config of a named model.

    Args:
        name: a catalog name, or a paper's own such as `EIT16/4/3-Mini`.
        image_size: pixels of both sides, or (height, width); None for the size the model is known at.
        classes: number of logits.
        channels: channels of the images.
        **switches: any argument of the family's function, such as `position=True` for EIT, `depth=6` for all.

    Raises:
        ConfigError: an unknown name or switch (the nearest are named), or a value of the wrong type.
    """
    known, entry = _look_up(name)
    allowed = get_type_hints(entry.family)
    for taken in ("image", "classes", "name", "source", "return"):
        allowed.pop(taken)
    for switch, value in switches.items():
        if switch not in allowed:
            near = did_you_mean(switch, allowed) or f"; it has {', '.join(allowed)}"
            raise ConfigError(f"{known} has no switch {switch!r}{near}")
        if not fits(value, allowed[switch]):
            raise ConfigError(f"{known}: {switch} is {value!r}; it takes {in_words(allowed[switch])}")
    size = entry.image_size if image_size is None else image_size
    height, width = (size, size) if isinstance(size, int) else size
    return entry.family(
        name=known,
        source=entry.source,
        image=ImageShape(channels, height, width),
        classes=classes,
        **{**entry.numbers, **switches},
    )


def _look_up(name: str) -> tuple[str, Entry]:
    for known, entry in CATALOG.items():
        if name.lower() in (known, *(alias.lower() for alias in entry.aliases)):
            return known, entry
    every = [*CATALOG, *(alias for entry in CATALOG.values() for alias in entry.aliases)]
    raise ConfigError(
        f"unknown model {name!r}{did_you_mean(name, every) or '; known: ' + ', '.join(CATALOG)}"
    )
