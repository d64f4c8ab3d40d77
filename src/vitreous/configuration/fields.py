"""The settings of a verb as a flat table: dotted name → type, read from its frozen dataclasses."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vitreous.errors import did_you_mean

Settings = TypeVar("Settings")
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")


def settings_types(settings: type, prefix: str = "") -> dict[str, Any]:
    """Types of all settings under their dotted names, sections included flat: `recipe.ema` → bool."""
    types: dict[str, Any] = {}
    for name, hint in get_type_hints(settings).items():
        if is_dataclass(hint):
            types |= settings_types(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            types[prefix + name] = hint
    return types


def construct(settings: type[Settings], given: dict[str, Any], prefix: str = "") -> Settings:
    """The dataclass from values under dotted names; what is not given keeps the dataclass's own default."""
    hints = get_type_hints(settings)
    values = {}
    for each in fields(settings):  # type: ignore[arg-type]
        key = prefix + each.name
        if is_dataclass(hints[each.name]):
            values[each.name] = construct(hints[each.name], given, f"{key}.")
        elif key in given:
            values[each.name] = given[key]
    return settings(**values)


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Values of a dataclass and its sections under dotted names, in the order of their definition."""
    values: dict[str, Any] = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if is_dataclass(value):
            values |= flat(value, f"{prefix}{each.name}.")
        else:
            values[prefix + each.name] = value
    return values


def is_list(hint: Any) -> bool:
    """Whether a setting takes several values."""
    return get_origin(hint) is list or any(is_list(each) for each in _members(hint))


def is_flag(hint: Any) -> bool:
    """Whether a setting can be switched with `--name` and `--no-name`."""
    return hint is bool or any(each is bool for each in _members(hint))


def is_tuple(hint: Any) -> bool:
    """Whether a setting takes a fixed number of values."""
    return get_origin(hint) is tuple or any(is_tuple(each) for each in _members(hint))


def is_text(hint: Any) -> bool:
    """Whether a setting takes text as it is, a number's digits included."""
    return hint is str or (bool(_members(hint)) and all(each in (str, NoneType) for each in _members(hint)))


def takes_nothing(hint: Any) -> bool:
    """Whether a setting may be null."""
    return NoneType in _members(hint)


def choices(hint: Any) -> tuple[str, ...]:
    """The words that a setting accepts, where it accepts words."""
    if get_origin(hint) is Literal:
        return tuple(map(str, get_args(hint)))
    return tuple(word for each in _members(hint) for word in choices(each))


def described(hint: Any) -> str:
    """What a setting expects, for an error message: `a whole number or auto`."""
    if get_origin(hint) is tuple:
        return "a pair of numbers" if len(get_args(hint)) == 2 else f"a list of {len(get_args(hint))} numbers"
    if is_list(hint):
        return "a list of texts"
    if members := [each for each in _members(hint) if each is not NoneType]:
        return " or ".join(dict.fromkeys(map(described, members)))
    if words := choices(hint):
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text (in quotes)"}.get(
        hint, str(hint)
    )


def metavar(hint: Any, name: str) -> str:
    """What stands for the value of a setting in the help: `N|auto`, `FILE`."""
    if get_origin(hint) is tuple:
        return " ".join("X" for _ in get_args(hint))
    if is_list(hint):
        return f"{name.upper()} …"
    if members := [each for each in _members(hint) if each is not NoneType]:
        return "|".join(dict.fromkeys(metavar(each, name) for each in members))
    if words := choices(hint):
        return "|".join(words)
    return {int: "N", float: "X", bool: "true|false"}.get(hint, name.upper())


def nearest(key: str, known: Sequence[str], spelled: Callable[[str], str] = str) -> str:
    """The setting that was probably meant, as a clause; one of the same name in another section first."""
    last = key.rpartition(".")[2]
    same = [each for each in known if each.rpartition(".")[2] == last]
    return did_you_mean(spelled(same[0] if same else key), map(spelled, known), most=1)


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
