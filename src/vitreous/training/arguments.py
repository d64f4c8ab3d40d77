"""Arguments of a Python call → `TrainSettings`: what `train`, `plan_run` and `train_seeds` share.

A Python caller gives paths, model values and sections by some of their fields where the settings hold texts
and whole sections.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, get_type_hints

from vitreous.configuration.arguments import filled
from vitreous.errors import ConfigError, did_you_mean
from vitreous.models.as_json import to_json
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.training.settings import TrainSettings


def settings_from(arguments: Mapping[str, Any]) -> TrainSettings:
    """The settings that a call means.

    Args:
        arguments: by name, as `train` documents them, `config` for what is left out; `settings` is all of
            them as one value.

    Raises:
        ConfigError: no data, an unknown argument or field of a section, or both ways at once.
    """
    given = filled(arguments, "train", TrainSettings)
    settings = given.pop("settings", None)
    data = given.get("data")
    if settings is not None:
        if data is not None:
            raise ConfigError("give either settings or separate arguments to train, not both")
        return settings  # type: ignore[no-any-return]
    if data is None:
        raise ConfigError(
            "no data given; a folder of class folders, parquet files, torch/<name> or digits works"
        )
    hints = get_type_hints(TrainSettings)
    for name in given:
        if name not in hints:
            raise ConfigError(f"{name} is not an argument of train{did_you_mean(name, hints)}")
    return TrainSettings(**{name: _as_setting(name, value, hints[name]) for name, value in given.items()})


def _as_setting(name: str, value: Any, hint: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return _section(hint, value, name)
    if name == "data":
        return [str(value)] if isinstance(value, str | os.PathLike) else [str(each) for each in value]
    if isinstance(value, VisionTransformer):
        return json.dumps(to_json(value))
    if isinstance(value, os.PathLike):
        return str(value)
    if name == "image_size" and isinstance(value, tuple):
        return f"{value[0]}x{value[1]}"
    return value


def _section(kind: Any, given: Any, name: str) -> Any:
    """A section as its dataclass, from one or from a mapping of some of its fields."""
    if given is None:
        return kind()
    if isinstance(given, kind):
        return given
    known = [field.name for field in dataclasses.fields(kind)]
    for key in given:
        if key not in known:
            raise ConfigError(f"{name}.{key} is not a setting{did_you_mean(key, known)}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return kind(**values)
