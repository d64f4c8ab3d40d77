"""The order in which settings are said, and which source each value has in the end.

    defaults < recipes < config files < environment variables < flags or arguments

Recipes, and files, count from left to right, the later one wins. A recipe stands below every file, wherever
it is named: it is where a run starts from. A file brings what it is `based_on` along, right below itself. Of
two settings that say one thing in two ways the later counts (`recipes/alternatives.py`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitreous.configuration.config_file import is_recipe, read_layers
from vitreous.configuration.environment import read_environment, variable
from vitreous.configuration.typed import typed
from vitreous.recipes.alternatives import overruled


@dataclass(frozen=True, kw_only=True)
class Layered:
    """What recipes, files and the environment set.

    Args:
        values: in their types, under dotted names; what nobody set is absent.
        sources: for each of them `recipe NAME`, the file, or the environment variable.
        lr_batch: the batch size that stood where `lr` was set.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    lr_batch: Any = None


def layered(
    verb: str,
    types: dict[str, Any],
    config: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Layered:
    """All settings but defaults and what the caller says.

    Args:
        verb: whose environment variables are read: `train`.
        types: the settings that exist, by dotted name.
        config: recipes and files.
        environment: variables; the process's own by default.

    Raises:
        ConfigError: an unknown recipe, file, key or variable, or a value of another type.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    lr_batch = None
    for named in sorted(config, key=lambda named: not is_recipe(named)):
        for layer in read_layers(named, types):
            values = overruled(values, layer.values) | layer.values
            sources |= dict.fromkeys(layer.values, layer.source)
            if "lr" in layer.values:
                lr_batch = values.get("batch_size")
    found = read_environment(verb, types, os.environ if environment is None else environment)
    values = overruled(values, found)
    for key, value in found.items():
        name = variable(verb, key)
        values[key] = typed(value, types[key], f"environment variable {name}")
        sources[key] = name
    return Layered(values=values, sources=sources, lr_batch=lr_batch)
