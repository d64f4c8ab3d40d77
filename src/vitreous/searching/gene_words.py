"""What the options of a gene are, in words: `layer 3` is `attention` or `shared attention`, not 0 or 1."""

from dataclasses import replace
from typing import Any

from vitreous.analysis.how_tokens_meet import how_tokens_meet
from vitreous.parts.description import Description, field_types
from vitreous.searching.choice import ByStage, Choice, Pooled
from vitreous.searching.space import SLOTS, Gene, Space
from vitreous.searching.variants import choices_of

LONGEST = 40


def words_of_genes(space: Space) -> list[tuple[Gene, tuple[str, ...]]]:
    """Every gene with a word for each of its values, in the order of a genome.

    The values of a place are `layer 1`, `layer 2`, …: the layers that a pool may stand before.
    """
    held: Any = space.config.layers
    pools, layers = (held.pools, held.layers) if isinstance(held, Pooled) else ((), held)
    places = [*(getattr(space.config, slot) for slot in SLOTS), *pools, *layers]
    listed = iter([each.options for place in places for each in choices_of(place, "").values()])
    told = []
    for gene in space.genes:
        if gene.kind == "place":
            told.append((gene, tuple(f"layer {1 + number}" for number in range(gene.options))))
        else:
            told.append((gene, _words(next(listed))))
    return told


def _words(options: tuple[Any, ...]) -> tuple[str, ...]:
    """As short as tells them apart."""
    words = [_word(each) for each in options]
    first = words[0]
    if first and all(each.startswith(f"{first} + ") for each in words[1:]):
        return ("without", *(each.removeprefix(f"{first} + ") for each in words[1:]))
    kinds = [type(each).__name__ for each in options]
    for short in (words, kinds):
        if len(set(short)) == len(short) and all(short):
            return tuple(short)
    return tuple(f"{each!r}"[:LONGEST] for each in options)


def _word(option: Any) -> str:
    if isinstance(option, Description):
        return how_tokens_meet(_decided(option))
    if isinstance(option, bool):
        return "yes" if option else "no"
    return "" if isinstance(option, tuple) else str(option)


def _decided(value: Any) -> Any:
    """With the first of all that is to be chosen further in."""
    match value:
        case Choice(options):
            return _decided(options[0])
        case ByStage(values):
            return _decided(values[0])
        case tuple():
            return tuple(map(_decided, value))
        case Description():
            held = {name: _decided(getattr(value, name)) for name in field_types(type(value))}
            return replace(value, **held)
    return value
