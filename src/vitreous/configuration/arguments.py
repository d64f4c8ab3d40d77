"""What a caller leaves out of `vitreous.train(...)` comes from its `config`, then from the environment.

A function's own default cannot be told from the same value given on purpose, so what was given is looked at
before the function sees it: `epochs="auto"` wins over a recipe's 300, and a missing `epochs` does not.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from vitreous.configuration.fields import settings_types
from vitreous.configuration.layers import layered
from vitreous.errors import ConfigError

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
    types = settings_types(settings)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given = dict(signature.bind(*args, **kwargs).arguments)
            config = given.pop("config", ())
            if given.get("settings") is not None:
                if config:
                    raise ConfigError(f"give either settings or config to {function.__name__}, not both")
                return function(*args, **kwargs)
            paths = [config] if isinstance(config, str) or hasattr(config, "__fspath__") else config
            below = layered(verb, types, [str(each) for each in paths])
            return function(**_filled(given, below.values))  # type: ignore[call-arg]

        return call

    return decorate


def _filled(given: dict[str, Any], below: dict[str, Any]) -> dict[str, Any]:
    """The given arguments over the values below them."""
    sections: dict[str, dict[str, Any]] = {}
    filled: dict[str, Any] = {}
    for key, value in below.items():
        section, _, name = key.rpartition(".")
        (sections.setdefault(section, {}) if section else filled)[name] = value
    for section, values in sections.items():
        own = given.get(section)
        if own is None or isinstance(own, Mapping):
            filled[section] = {**values, **(own or {})}
    filled |= {key: value for key, value in given.items() if key not in sections or key not in filled}
    if given.get("data") is None and "data" in below:
        filled["data"] = below["data"]
    return filled
