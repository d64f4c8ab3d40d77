"""The thin pass between a user's words and jsonargparse's options.

It allows `-` for `_`, `--flag` and `--no-flag`, several words after an option that takes a list, and stops at
a name that does not exist with the nearest one that does.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vitreous.configuration.fields import (
    FALSE,
    TRUE,
    choices,
    described,
    is_flag,
    is_list,
    is_tuple,
    nearest,
)
from vitreous.errors import ConfigError

SHORT = {"-o": "--out", "-c": "--config", "-h": "--help"}


def spell(
    words: Sequence[str], types: Mapping[str, Any], switches: Collection[str]
) -> tuple[list[str], list[str]]:
    """Options as `--dotted_name=value`, and the words that belong to none.

    Args:
        words: what was typed.
        types: options that take a value, by dotted name; lists take every word up to the next option.
        switches: options without a value.

    Raises:
        ConfigError: an unknown option, or one without its value.
    """
    options: list[str] = []
    alone: list[str] = []
    lists: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            alone += rest
            break
        if not word.startswith("-") or word == "-":
            alone.append(word)
            continue
        name, equals, value = word.partition("=")
        key, negated = _without_no(SHORT.get(name, name)[2:].replace("-", "_"), types)
        if f"{key}_" in types:  # a word of Python's own, such as `as`, ends in `_` where settings are defined
            key = f"{key}_"
        if name.startswith("--") == (name in SHORT) or (key not in types and key not in switches):
            raise ConfigError(_unknown(name, key, [*types, *switches]))
        if key in switches or negated:
            if equals:
                raise ConfigError(f"{name} takes no value, and was given {value}")
            options.append(f"--{key}=false" if negated else f"--{key}")
        elif is_list(types[key]):
            several = lists.setdefault(key, [])
            several += [value] if equals else _values(rest)
            if not several:
                raise ConfigError(f"{name} needs a value: {described(types[key])}")
        elif is_tuple(types[key]) and not equals and not (rest and rest[0] in choices(types[key])):
            options.append(f"--{key}=[{','.join(_values(rest)).strip('[]')}]")
        elif equals:
            options.append(f"--{key}={value}")
        elif is_flag(types[key]) and not (rest and rest[0] in (*TRUE, *FALSE, *choices(types[key]))):
            options.append(f"--{key}=true")
        elif rest and not _is_option(rest[0]):
            options.append(f"--{key}={rest.pop(0)}")
        else:
            raise ConfigError(f"{name} needs a value: {described(types[key])}")
    return [*options, *(f"--{key}={json.dumps(several)}" for key, several in lists.items())], alone


def kebab(key: str) -> str:
    """A setting as an option: `recipe.weight_decay` → `--recipe.weight-decay`."""
    return f"--{key.rstrip('_').replace('_', '-')}"


def _values(rest: list[str]) -> list[str]:
    """Take the words up to the next option."""
    count = next((place for place, word in enumerate(rest) if _is_option(word)), len(rest))
    taken = rest[:count]
    del rest[:count]
    return taken


def _is_option(word: str) -> bool:
    return word.startswith("-") and not re.match(r"-\.?\d", word)


def _without_no(key: str, types: Mapping[str, Any]) -> tuple[str, bool]:
    """`recipe.no_ema` and `no_recipe.ema` → `recipe.ema`, negated."""
    positive = re.sub(r"(^|\.)no_", r"\1", key, count=1)
    negated = key not in types and positive != key and is_flag(types.get(positive))
    return (positive, True) if negated else (key, False)


def _unknown(name: str, key: str, known: Sequence[str]) -> str:
    inside = [kebab(each) for each in known if each.startswith(f"{key}.")]
    if inside:
        return f"{name} is a section and not an option; its options are like {' and '.join(inside[:2])}"
    near = nearest(key, known, kebab) if len(key) > 1 else ""
    return f"{name} is not an option{near}"
