"""What a layer shares, in words: the turns that apply one block again, and the map that it takes from whom.

Recursive(block, 2)      "2 turns, one block"
SharedAttention(3)       "map of layers.1"        the last layer before it that lends
Attention(3, lends=True) "lends its map"
"""

from collections.abc import Iterator
from dataclasses import fields

from vitreous.parts import Attention, Description, Part, Recursive, SharedAttention


def what_is_shared(layers: tuple[Part, ...]) -> list[str]:
    """For each layer, what it shares with other layers or with itself; "" for nothing."""
    told, lender = [], ""
    for number, layer in enumerate(layers):
        words = []
        for each in _inside(layer):
            if isinstance(each, Recursive) and each.times > 1:
                words.append(f"{each.times} turns, one block")
            elif isinstance(each, SharedAttention):
                words.append(f"map of {lender}")
            elif isinstance(each, Attention) and each.lends:
                lender = f"layers.{number}"
                words.append("lends its map")
        told.append("; ".join(dict.fromkeys(words)))
    return told


def _inside(value: object) -> Iterator[Description]:
    """A description and all that it holds, in the order of its fields."""
    if isinstance(value, tuple):
        for each in value:
            yield from _inside(each)
    elif isinstance(value, Description):
        yield value
        for field in fields(value):
            yield from _inside(getattr(value, field.name))
