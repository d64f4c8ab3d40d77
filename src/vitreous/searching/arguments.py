"""The arguments of `vitreous.search` as one value."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from vitreous.errors import ConfigError, did_you_mean
from vitreous.searching.settings import SearchSettings


def settings_from(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None,
    space: str | os.PathLike[str],
    budget: str,
    out: str | os.PathLike[str] | None,
    others: Mapping[str, Any],
) -> SearchSettings:
    """Settings of arguments as they were given; `others` are further fields of `SearchSettings` by name.

    Raises:
        ConfigError: a name that is no field; the nearest are named.
    """
    given = [data] if isinstance(data, str | os.PathLike) else list(data or [])
    return SearchSettings(
        data=[str(each) for each in given],
        space=str(space),
        budget=budget,
        out=None if out is None else str(out),
        **_sections(others),
    )


def _sections(given: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(SearchSettings)
    found = {}
    for name, value in given.items():
        if name not in hints:
            raise ConfigError(f"search has no argument {name!r}{did_you_mean(name, hints)}")
        if dataclasses.is_dataclass(hints[name]) and isinstance(value, Mapping):
            known = [field.name for field in dataclasses.fields(hints[name])]
            for each in value:
                if each not in known:
                    raise ConfigError(f"search: {name} has no {each!r}{did_you_mean(str(each), known)}")
            value = hints[name](**value)  # type: ignore[operator]
        found[name] = value
    return found
