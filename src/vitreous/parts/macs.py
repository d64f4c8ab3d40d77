"""What a part multiplies, in closed form: every description tells its own multiply-accumulates.

Norms, softmax, GELU, pooling, sums and dropout are not counted, as everywhere in this field.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates for one image.

    Args:
        maps: linear maps and convolutions.
        attention: the two products inside attention, q · kᵀ and map · v; a map that several layers use counts
            once.
        again: products that are computed a second time because keeping queries and keys is cheaper than
            keeping the map; not part of the total.
    """

    maps: int = 0
    attention: int = 0
    again: int = 0

    @property
    def total(self) -> int:
        """What the method requires: maps and attention."""
        return self.maps + self.attention

    def __add__(self, other: "Macs") -> "Macs":
        return Macs(self.maps + other.maps, self.attention + other.attention, self.again + other.again)

    def __mul__(self, times: int) -> "Macs":
        return Macs(self.maps * times, self.attention * times, self.again * times)
