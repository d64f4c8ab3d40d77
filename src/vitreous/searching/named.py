"""What a user names as a space: one of ours, or a file.

    psvit_2d_tiny           the space of any PSViT in the catalog
    hybrid_small_image      convolutions, and a few layers behind them, for images up to 96 px
    wide_small_image        every idea in every layer, for images up to 96 px
    FILE.py                 defines `space(image, classes)`, which returns a config with choices
    FILE.json               what `Space.to_json` wrote

A Python file is run: it is code of the user's own. What a search keeps is JSON.
"""

import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError, did_you_mean
from vitreous.models.catalog import list_models
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import ImageShape
from vitreous.searching.choice import Choice
from vitreous.searching.hybrid_space import hybrid_space
from vitreous.searching.psvit_space import psvit_space
from vitreous.searching.space import Space
from vitreous.searching.wide_space import wide_space

HYBRID, WIDE = "hybrid_small_image", "wide_small_image"


def list_spaces() -> list[str]:
    """The names of our spaces."""
    return [*list_models("psvit_*"), HYBRID, WIDE]


def named_space(name: str, *, image: ImageShape, classes: int) -> Space:
    """The space that a name or file stands for, for these images and classes.

    Raises:
        ConfigError: an unknown name (the nearest are named), a file that cannot be read or defines no space,
            a config without choices, or sizes that do not fit.
    """
    if name.endswith(".py"):
        return _of_python(Path(name), image, classes)
    if name.endswith(".json"):
        return _of_json(Path(name), image, classes)
    if name == HYBRID:
        return hybrid_space(image=image, classes=classes)
    if name == WIDE:
        return wide_space(image=image, classes=classes)
    if name in list_models("psvit_*"):
        size = (image.height, image.width)
        return psvit_space(name, image_size=size, classes=classes, channels=image.channels)
    near = did_you_mean(name, list_spaces()) or f"; {', '.join(list_spaces())} and files *.py, *.json work"
    raise ConfigError(f"unknown space {name!r}{near}")


def _of_python(file: Path, image: ImageShape, classes: int) -> Space:
    try:
        defined = runpy.run_path(str(file))
    except OSError as error:
        raise ConfigError(f"space {file} cannot be read: {error.strerror}") from None
    except ConfigError as error:
        raise ConfigError(f"space {file}: {error}") from None
    except Exception as error:  # the file is the user's code
        raise ConfigError(f"space {file} cannot be run: {type(error).__name__}: {error}") from error
    make = defined.get("space")
    if not callable(make):
        raise ConfigError(f"space {file} defines no function space(image, classes) that returns a config")
    try:
        made: Any = make(image, classes)
        if isinstance(made, VisionTransformer):
            made = Space(replace(made, name=made.name or file.stem))
    except ConfigError as error:
        raise ConfigError(f"space {file}: {error}") from None
    except Exception as error:  # the file is the user's code
        raise ConfigError(f"space {file}: space(…) failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, Space):
        raise ConfigError(f"space {file}: space(…) returned a {type(made).__name__}, not a VisionTransformer")
    return made


def _of_json(file: Path, image: ImageShape, classes: int) -> Space:
    try:
        found = Space.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"space {file} cannot be read: {error}") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"space {file} is not JSON: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"space {file}: {error}") from None
    head: Any = found.config.head
    if isinstance(head, Choice):
        head = replace(head, options=tuple(replace(each, classes=classes) for each in head.options))
    else:
        head = replace(head, classes=classes)
    return replace(found, config=replace(found.config, image=image, head=head))
