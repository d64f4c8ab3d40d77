"""Looking into descriptions and rewriting them: what a part holds, and what a model need not hold."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from vitreous.parts import Attention, Part, Recursive, SharedAttention
from vitreous.parts.description import Description, field_types


def inside(value: Any) -> Iterator[Description]:
    """A description and all that it holds, in the order of its fields."""
    if isinstance(value, tuple):
        for each in value:
            yield from inside(each)
    elif isinstance(value, Description):
        yield value
        for name in field_types(type(value)):
            yield from inside(getattr(value, name))


def holds(value: Any, kinds: tuple[type[Description], ...]) -> bool:
    """Whether a description of one of these kinds is in it, at any depth."""
    return any(isinstance(each, kinds) for each in inside(value))


def rewritten(value: Any, change: Callable[[Description], Description]) -> Any:
    """The same with every description in it changed, inner ones first."""
    if isinstance(value, tuple):
        return tuple(rewritten(each, change) for each in value)
    if not isinstance(value, Description):
        return value
    held = {name: getattr(value, name) for name in field_types(type(value))}
    changed = {name: rewritten(each, change) for name, each in held.items()}
    return change(value if changed == held else replace(value, **changed))


def simplified(value: Any) -> Any:
    """One turn of a recursion with nothing between the turns is its block."""

    def change(part: Description) -> Description:
        if isinstance(part, Recursive) and part.times == 1 and part.between is None:
            return part.block
        return part

    return rewritten(value, change)


def lending_only_to_takers(layers: tuple[Part, ...]) -> tuple[Part, ...]:
    """The layers with `lends` off wherever no later layer takes the map; nothing else changes."""
    needed: set[int] = set()
    lender, count = None, 0
    for each in inside(layers):
        if isinstance(each, Attention):
            lender, count = (count if each.lends else lender), count + 1
        elif isinstance(each, SharedAttention) and lender is not None:
            needed.add(lender)
    numbers = iter(range(count))

    def change(part: Description) -> Description:
        if isinstance(part, Attention) and next(numbers) not in needed and part.lends:
            return replace(part, lends=False)
        return part

    changed: tuple[Part, ...] = rewritten(layers, change)
    return changed
