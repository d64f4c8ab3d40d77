"""All named models: a name, the family's function, its numbers, and where they come from.

Names are family first, size last; image size, classes and channels are arguments of `config`, and so is
every argument of the family's function as a switch. The papers' own names are aliases.
"""

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, get_type_hints

from vitreous.errors import ConfigError, did_you_mean
from vitreous.models import (
    compact,
    deit,
    eit,
    feed_forward,
    hybrid,
    lape,
    lsra,
    mlp_mixer,
    pit,
    psvit,
    recursive,
    sret,
    swin,
    t2t_vit,
)
from vitreous.models.entry import Entry
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import ImageShape
from vitreous.parts.description import fits, in_words

CATALOG: dict[str, Entry] = {
    **deit.ENTRIES,
    **eit.ENTRIES,
    **lsra.ENTRIES,
    **compact.ENTRIES,
    **hybrid.ENTRIES,
    **feed_forward.ENTRIES,
    **lape.ENTRIES,
    **mlp_mixer.ENTRIES,
    **psvit.ENTRIES,
    **sret.ENTRIES,
    **recursive.ENTRIES,
    **pit.ENTRIES,
    **swin.ENTRIES,
    **t2t_vit.ENTRIES,
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
        **switches: arguments of the family's function, such as `position=True` for EIT, `depth=6` for DeiT.

    With `classes=0` the model gives features.

    Raises:
        ConfigError: an unknown name or switch (the nearest are named), or a value of the wrong type.
    """
    known, entry = look_up(name)
    of_family, of_change = _arguments(entry.family), _arguments(entry.change)
    allowed = switches_of(known)
    for switch, value in switches.items():
        if switch not in allowed:
            near = did_you_mean(switch, allowed) or f"; it has {', '.join(allowed)}"
            raise ConfigError(f"{known} has no switch {switch!r}{near}")
        if not fits(value, allowed[switch]):
            raise ConfigError(f"{known}: {switch} is {value!r}; it takes {in_words(allowed[switch])}")
    size = entry.image_size if image_size is None else image_size
    height, width = (size, size) if isinstance(size, int) else size
    described = entry.family(
        name=known,
        source=entry.source,
        image=ImageShape(channels, height, width),
        classes=classes,
        **{**entry.numbers, **{switch: value for switch, value in switches.items() if switch in of_family}},
    )
    if entry.change is None:
        return described
    changed = entry.change(
        described, **{switch: value for switch, value in switches.items() if switch in of_change}
    )
    return replace(changed, name=known, source=entry.source)


def switches_of(name: str) -> dict[str, Any]:
    """The switches that `config` takes for a named model, each with its type."""
    entry = look_up(name)[1]
    return {**_arguments(entry.family), **_arguments(entry.change)}


def _arguments(function: Callable[..., VisionTransformer] | None) -> dict[str, Any]:
    """Argument name to type, without what every model is given."""
    if function is None:
        return {}
    hints = get_type_hints(function)
    for taken in ("image", "classes", "name", "source", "config", "return"):
        hints.pop(taken, None)
    return hints


def look_up(name: str) -> tuple[str, Entry]:
    """The catalog's own name and the entry; raises ConfigError for an unknown name."""
    for known, entry in CATALOG.items():
        if name.lower() in (known, *(alias.lower() for alias in entry.aliases)):
            return known, entry
    every = [*CATALOG, *(alias for entry in CATALOG.values() for alias in entry.aliases)]
    raise ConfigError(
        f"unknown model {name!r}{did_you_mean(name, every) or '; known: ' + ', '.join(CATALOG)}"
    )
