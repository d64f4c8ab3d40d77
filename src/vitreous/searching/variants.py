"""All ways to decide one part of a space: a description with choices becomes a list of plain descriptions.

The options of nested choices multiply. A choice that stands inside an option exists only where that option
is picked; elsewhere its gene is 0, so that equal parts have equal picks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from vitreous.errors import ConfigError
from vitreous.parts.description import Description, field_types
from vitreous.searching.choice import ByStage, Choice, Pooled

MOST = 20_000


@dataclass(frozen=True)
class Variant:
    """One way: the picks of all genes of the part, in their order, and what they make it."""

    picks: tuple[int, ...]
    value: Any


def genes_of(value: Any, where: str) -> dict[str, int]:
    """The genes of a part, by name, in the order in which they stand: how many options each has.

    Args and errors are those of `choices_of`.
    """
    return {name: len(each.options) for name, each in choices_of(value, where).items()}


def choices_of(value: Any, where: str) -> dict[str, Choice]:
    """The choices of a part by the name of their gene, in the order in which they stand.

    Of choices that are one gene, the first.

    Args:
        value: a description with choices, or anything that one may hold.
        where: begins the sentence of an error, such as `layer 3`.

    Raises:
        ConfigError: two choices of one name with another number of options; a `Pooled` elsewhere than in
            the slot `layers`.
    """
    found: dict[str, Choice] = {}
    for name, choice in _choices(value, "", where):
        first, options = len(found.setdefault(name, choice).options), len(choice.options)
        if first != options:
            raise ConfigError(
                f"{where}: two choices named {name!r} have {first} and {options} options; they are one "
                "gene, so they need as many, or two names"
            )
    return found


def variants(value: Any, genes: dict[str, int], stage: int, where: str) -> list[Variant]:
    """Every way to decide a part in a stage, each once, in the order of the picks.

    Raises:
        ConfigError: a `ByStage` without a value for the stage, a combination that a part refuses, or far
            too many ways for one part.
    """
    found: dict[tuple[int, ...], Any] = {}
    for decided, picked in _decide(value, stage, "", {}, where):
        picks = tuple(picked.get(name, 0) for name in genes)
        found.setdefault(picks, decided)
        if len(found) > MOST:
            raise ConfigError(
                f"{where}: its choices can be decided in more than {MOST:,} ways; choices in several layers "
                "are counted apart, so spread them, or give fewer options"
            )
    return [Variant(picks, found[picks]) for picks in sorted(found)]


def _choices(value: Any, path: str, where: str) -> Iterator[tuple[str, Choice]]:
    if isinstance(value, Pooled):
        raise ConfigError(f"{where}: Pooled stands for the slot layers as a whole, not inside a part")
    if isinstance(value, Choice):
        yield value.name or path or "choice", value
        for number, option in enumerate(value.options):
            yield from _choices(option, f"{path}({number})", where)
    elif isinstance(value, ByStage):
        for each in value.values:
            yield from _choices(each, path, where)
    elif isinstance(value, tuple):
        for number, each in enumerate(value):
            yield from _choices(each, f"{path}[{number}]", where)
    elif isinstance(value, Description):
        for name in field_types(type(value)):
            yield from _choices(getattr(value, name), f"{path}.{name}", where)


def _decide(
    value: Any, stage: int, path: str, picked: dict[str, int], where: str
) -> Iterator[tuple[Any, dict[str, int]]]:
    if isinstance(value, Choice):
        gene = value.name or path or "choice"
        for number in [picked[gene]] if gene in picked else range(len(value.options)):
            inner = picked | {gene: number}
            yield from _decide(value.options[number], stage, f"{path}({number})", inner, where)
    elif isinstance(value, ByStage):
        if stage >= len(value.values):
            raise ConfigError(
                f"{where}: ByStage has values for {len(value.values)} stages and this may be stage "
                f"{stage + 1}; one value for each stage works"
            )
        yield from _decide(value.values[stage], stage, path, picked, where)
    elif isinstance(value, tuple):
        places = [f"{path}[{number}]" for number in range(len(value))]
        for held, inner in _each(list(value), places, stage, picked, where):
            yield tuple(held), inner
    elif isinstance(value, Description) and _undecided(value):
        names = list(field_types(type(value)))
        fields = [getattr(value, name) for name in names]
        for held, inner in _each(fields, [f"{path}.{name}" for name in names], stage, picked, where):
            try:
                yield replace(value, **dict(zip(names, held, strict=True))), inner
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from None
    else:
        yield value, picked


def _each(
    values: list[Any], paths: list[str], stage: int, picked: dict[str, int], where: str
) -> Iterator[tuple[list[Any], dict[str, int]]]:
    """All combinations of several values, the last varying fastest; what one picks holds for the next."""
    if not values:
        yield [], picked
        return
    for first, inner in _decide(values[0], stage, paths[0], picked, where):
        for others, all_picked in _each(values[1:], paths[1:], stage, inner, where):
            yield [first, *others], all_picked


def _undecided(value: Any) -> bool:
    if isinstance(value, Choice | ByStage | Pooled):
        return True
    if isinstance(value, tuple):
        return any(map(_undecided, value))
    if isinstance(value, Description):
        return any(_undecided(getattr(value, name)) for name in field_types(type(value)))
    return False
