"""What flows between parts: `Tokens` at run time, and `TokenShape`, its static shadow, when a model is built.

One vocabulary of axes is used in every signature of this package:

    batch · channels · height · width (of an image, in pixels)
    rows · columns    the grid of tokens, row by row
    tokens            prefix + rows × columns; the prefix (the class token) always comes first
    width             channels of one token
    heads · head_width

A part returns new `Tokens` (`dataclasses.replace`) and never changes those it was given.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitreous.parts.description import Description


@dataclass(frozen=True, repr=False)
class ImageShape(Description):
    """Channels, and height and width in pixels, of the images that a model is built for."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class TokenShape:
    """The shape that a part is built for: channels of a token, (rows, columns) of the grid, prefix tokens."""

    width: int
    grid: tuple[int, int]
    prefix: int = 0

    @property
    def tokens(self) -> int:
        """All tokens: the prefix and the grid."""
        return self.prefix + self.grid[0] * self.grid[1]


@dataclass(frozen=True)
class Tokens:
    """The values that parts exchange.

    Args:
        x: the tokens, the prefix first, then the grid row by row.
        grid: rows and columns of the tokens after the prefix.
        prefix: how many tokens stand before the grid.
        attention: the last attention map that somebody asked to keep, as weights that sum to 1 over its last
            axis; None where nobody asked.
    """

    x: Float[Tensor, "batch tokens width"]
    grid: tuple[int, int]
    prefix: int = 0
    attention: Float[Tensor, "batch heads tokens tokens"] | None = None


# torch.export and FSDP2 look inside values that cross a module boundary: this tells them how.
torch.export.register_dataclass(Tokens, serialized_type_name="vitreous.Tokens")
