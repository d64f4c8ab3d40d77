"""What all descriptions share: a strict constructor and a `repr` that is the constructor call.

A description is a frozen dataclass that says *what* a layer is. It compares by value, can be hashed, and
`eval(repr(it)) == it`. Its fields hold numbers, names, other descriptions and tuples of these, and nothing
else. Every whole number in a description is a size, a count or a seed, and at least 1 (where 0 has a meaning
the field's type says `int | Literal[0]`).
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from itertools import groupby
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vitreous.errors import ConfigError

LINE = 100  # characters; a longer constructor call is spread over several lines

# A field with this as `metadata` is shown even at its default: a choice that readers must not miss.
ALWAYS_SHOWN = {"always_shown": True}


@dataclass(frozen=True, repr=False)
class Description:
    """Base of all descriptions. A subclass is decorated with `@dataclass(frozen=True, repr=False)`.

    Raises:
        ConfigError: a field holds a value of the wrong type, or a size below 1.
    """

    def __post_init__(self) -> None:
        for name, hint in field_types(type(self)).items():
            value = getattr(self, name)
            if not fits(value, hint):
                raise ConfigError(f"{type(self).__name__}.{name} is {value!r}; it takes {in_words(hint)}")

    def __repr__(self) -> str:
        return _show(self)


@dataclass(frozen=True, repr=False)
class Undecided(Description):
    """Stands in a description where something is still to be chosen, so that it describes many models.

    What such a value is, and how it is decided, `vitreous.searching` says; here it is only let in.
    """

    def could_be(self, hint: Any) -> bool:
        """Whether all that may be chosen is of an annotated type."""
        raise NotImplementedError


def field_types(kind: type[Description]) -> Mapping[str, Any]:
    """Field name to type, in the order of the constructor."""
    return _field_types(kind)  # type: ignore[arg-type]  # mypy holds classes of dataclasses unhashable


@cache  # it is slow, and asked for whenever a description is made
def _field_types(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return MappingProxyType({each.name: hints[each.name] for each in fields(kind)})


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of an annotated type; whole numbers must be at least 1."""
    if hint is Any:
        return True
    if isinstance(value, Undecided):
        return (isinstance(hint, type) and issubclass(hint, Undecided)) or value.could_be(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(fits(value, each) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return any(value == each and type(value) is type(each) for each in get_args(hint))
    if get_origin(hint) is tuple:
        if not isinstance(value, tuple):
            return False
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            return all(fits(each, inner[0]) for each in value)
        return len(value) == len(inner) and all(map(fits, value, inner))
    if hint is int:
        return type(value) is int and value >= 1
    if hint is float:
        return type(value) in (int, float)
    return isinstance(value, hint)


def in_words(hint: Any) -> str:
    """An annotated type as the end of the sentence "it takes …"."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(in_words(each) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            return f"a tuple, each of it {in_words(inner[0])}"
        return "a tuple of " + " and ".join(in_words(each) for each in inner)
    named = {int: "a whole number of at least 1", float: "a number", str: "a text", bool: "True or False"}
    return named.get(hint, "None" if hint is NoneType else f"a {hint.__name__}")


def _show(value: object, indent: int = 0) -> str:
    """The expression that makes `value`: on one line when it fits, else one field or element a line."""
    if isinstance(value, Description):
        shown = [(each, getattr(value, each.name)) for each in fields(value)]
        shown = [it for it in shown if not _is_default(*it) or it[0].metadata.get("always_shown")]
        required = sum(_has_no_default(each) for each in fields(value))
        # A class with one required field reads best without its name: Attention(3), FeedForward(4).
        bare = required == 1 and not fields(value)[0].kw_only
        labels = ["" if bare and _has_no_default(each) else f"{each.name}=" for each, _ in shown]
        held_values = [held for _, held in shown]
        brackets = (f"{type(value).__name__}(", ")")
    elif isinstance(value, tuple):
        runs = (
            [list(run) for _, run in groupby(value)] if _holds_descriptions(value) else [[it] for it in value]
        )
        if len(runs) == 1 and len(runs[0]) > 1:
            return f"({_show(runs[0][0], indent)},) * {len(runs[0])}"
        labels = [f"*{len(run)} * " if len(run) > 1 else "" for run in runs]
        held_values = [(run[0],) if len(run) > 1 else run[0] for run in runs]
        brackets = ("(", ",)" if len(runs) == 1 else ")")
    else:
        return repr(value)
    parts = [label + _show(held) for label, held in zip(labels, held_values, strict=True)]
    line = brackets[0] + ", ".join(parts) + brackets[1]
    if indent + len(line) <= LINE and "\n" not in line:
        return line
    pad = " " * (indent + 4)
    parts = [label + _show(held, indent + 4) for label, held in zip(labels, held_values, strict=True)]
    return brackets[0] + "".join(f"\n{pad}{part}," for part in parts) + "\n" + " " * indent + ")"


def _holds_descriptions(value: tuple[object, ...]) -> bool:
    return all(isinstance(each, Description) for each in value)


def _has_no_default(each: "Field[Any]") -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _is_default(each: "Field[Any]", held: object) -> bool:
    if each.default_factory is not MISSING:
        return bool(held == each.default_factory())
    return each.default is not MISSING and bool(held == each.default)
