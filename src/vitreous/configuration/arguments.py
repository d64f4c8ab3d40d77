"""What a caller leaves out of `vitreous.train(...)` comes from its `config`, then from the environment.

A function's own default cannot be told from the same value given on purpose, so what was given is looked at
before the function sees it: `epochs="auto"` wins over a recipe's 300, and a missing `epochs` does not.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from vitreous.configuration.fields import settings_types
from vitreous.configuration.layers import layered
from vitreous.configuration.unscaled_lr import warn_of_unscaled_lr
from vitreous.errors import ConfigError
from vitreous.recipes.alternatives import overruled

P = ParamSpec("P")
R = TypeVar("R")


def filled_from_config(verb: str, settings: type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a decorator for a function with an argument for each setting, `config` and `settings`.

    Sections may be given as mappings: their fields are put over those of the layers below. A section as a
    value, or all `settings` as one, leaves nothing open.

    Args:
        verb: whose environment variables are read.
        settings: the frozen dataclass of the arguments.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given = dict(signature.bind(*args, **kwargs).arguments)
            return function(**filled(given, verb, settings))  # type: ignore[call-arg]

        return call

    return decorate


def filled(given: Mapping[str, Any], verb: str, settings: type) -> dict[str, Any]:
    """The given arguments, and what recipes, files and the environment say of the others.

    Args:
        given: what the caller gave, by name; `config` is taken out.
        verb: whose environment variables are read.
        settings: the frozen dataclass of the arguments.

    Raises:
        ConfigError: both `settings` and `config`, or anything wrong in a file, recipe or variable.
    """
    own = dict(given)
    config = own.pop("config", ())
    if own.get("settings") is not None:
        if config:
            raise ConfigError(f"give either settings or config to {verb}, not both")
        return own
    paths = [config] if isinstance(config, str | os.PathLike) else config
    below = layered(verb, settings_types(settings), [os.fspath(each) for each in paths])
    warn_of_unscaled_lr(below, own)
    said = [name for name in own if not isinstance(own[name], Mapping)]
    said += [f"{section}.{name}" for section in own if section not in said for name in own[section]]
    plain: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {}
    for key, value in overruled(below.values, said).items():
        section, _, name = key.rpartition(".")
        (sections.setdefault(section, {}) if section else plain)[name] = value
    for section, values in sections.items():
        if own.get(section) is None or isinstance(own[section], Mapping):
            own[section] = {**values, **(own.get(section) or {})}
    if own.get("data") is None and "data" in plain:
        own["data"] = plain["data"]
    return {**plain, **own}
