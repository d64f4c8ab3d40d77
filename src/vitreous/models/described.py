"""What a user names as a model: a name of the catalog, a JSON file, or a value.

The three are interchangeable wherever a model is asked for. Image size, classes and channels may be given
beside each of them: a name has a size that it is known at and the family's function sees the arguments; a
file or a value has its own, and keeps its layers.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError
from vitreous.models.as_json import from_json
from vitreous.models.catalog import config
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import ImageShape


def described(
    model: str | VisionTransformer,
    *,
    image_size: int | tuple[int, int] | None = None,
    classes: int | None = None,
    channels: int | None = None,
    **switches: Any,
) -> VisionTransformer:
    """The value that a name, a file or a value stands for.

    Args:
        model: a catalog name, the path of a JSON file (`*.json`), the JSON itself, or a value.
        image_size: pixels of both sides, or (height, width); None for the model's own.
        classes: number of logits, 0 for features; None for the file's, or 1000 for a name.
        channels: channels of the images; None for the file's, or 3 for a name.
        **switches: arguments of the family's function, for a name only.

    Raises:
        ConfigError: an unknown name or switch, a file that cannot be read, or values that do not fit.
    """
    value = read(model) if isinstance(model, str) else model
    if value is None:
        assert isinstance(model, str)
        given = {"classes": classes, "channels": channels}
        asked = {each: number for each, number in given.items() if number is not None}
        return config(model, image_size=image_size, **asked, **switches)
    if switches:
        raise ConfigError(
            f"{', '.join(switches)}: switches belong to catalog names; a described model is changed in its "
            "description"
        )
    return fitted(value, image_size=image_size, classes=classes, channels=channels)


def read(model: str) -> VisionTransformer | None:
    """The value in a JSON file or in JSON itself; None where `model` is neither, and so a name.

    Raises:
        ConfigError: the file is not there, is not JSON, or is not exactly a model.
    """
    text = model
    if not model.lstrip().startswith("{"):
        if not model.endswith(".json"):
            return None
        try:
            text = Path(model).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ConfigError(
                f"model {model} cannot be read; give a model's config.json or a catalog name"
            ) from None
    try:
        return from_json(json.loads(text))
    except json.JSONDecodeError as error:
        raise ConfigError(f"model {model[:60]} is not JSON: {error}") from None


def fitted(
    value: VisionTransformer,
    *,
    image_size: int | tuple[int, int] | None = None,
    classes: int | None = None,
    channels: int | None = None,
) -> VisionTransformer:
    """The same layers for other images or another number of classes; None leaves a number as it is."""
    image = value.image
    size = (image.height, image.width) if image_size is None else image_size
    height, width = (size, size) if isinstance(size, int) else size
    return replace(
        value,
        image=ImageShape(image.channels if channels is None else channels, height, width),
        head=value.head if classes is None else replace(value.head, classes=classes),
    )
