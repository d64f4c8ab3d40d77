"""What flows between parts: `Tokens` at run time, and `TokenShape`, its static shadow, when a model is built.

One vocabulary of axes is used in every signature of this package:

    batch · channels · height · width (of an image, in pixels)
    rows · columns    the grid of tokens, row by row
    tokens            prefix + rows × columns; the prefix (the class token) always comes first
    width             channels of one token
    heads · head_width

A part returns new `Tokens` (`dataclasses.replace`) and never changes those it was given.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vitreous.errors import ConfigError
from vitreous.parts.description import Description


@dataclass(frozen=True, repr=False)
class ImageShape(Description):
    """Channels, and height and width in pixels, of the images that a model is built for."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Lent:
    """What an attention layer left for later ones: its heads, over how many tokens, in which slices."""

    heads: int
    tokens: int
    slices: tuple[int, ...] = ()


@dataclass(frozen=True)
class TokenShape:
    """The shape that a part is built for.

    Args:
        width: channels of a token.
        grid: rows and columns of the tokens after the prefix; None where they are a plain sequence.
        prefix: how many tokens stand before the grid.
        sequence: how many tokens stand after the prefix where there is no grid.
        position: channels of the carried position, None where none is carried.
        lent: the attention that a later layer may share, None where nobody lent one.
        turn: which application of a recursion this is, from 0.
        shuffled: whether order or number of the tokens differs between turns or steps, as inside shuffled
            slices; what has a weight for each place refuses such tokens.
    """

    width: int
    grid: tuple[int, int] | None
    prefix: int = 0
    sequence: int | None = None
    position: int | None = None
    lent: Lent | None = None
    turn: int = 0
    shuffled: bool = False

    @property
    def tokens(self) -> int:
        """All tokens: the prefix, and the grid or the sequence."""
        after = self.grid[0] * self.grid[1] if self.grid else self.sequence or 0
        return self.prefix + after

    def rows_and_columns(self, who: str) -> tuple[int, int]:
        """The grid; raises ConfigError, beginning with `who`, where the tokens are a plain sequence."""
        if self.grid is None:
            raise ConfigError(
                f"{who}: it needs rows and columns, and the tokens are a plain sequence here, as after a "
                "LinePool, in slices, or transposed; a GridPool keeps the grid"
            )
        return self.grid


@dataclass(frozen=True)
class Tokens:
    """The values that parts exchange.

    Args:
        x: the tokens, the prefix first, then the grid row by row.
        grid: rows and columns of the tokens after the prefix; None where they are a plain sequence.
        prefix: how many tokens stand before the grid.
        position: the carried position, the same for all images (LaPE); None where none is carried.
        shared: what the last attention that lends left behind: (map,), weights that sum to 1 over the last
            axis, each (batch, heads, tokens, tokens); or (queries, keys), and a bias behind them where the
            scores had one.
        bias: added to the scores of attention, such as the mask of shifted windows; None for none.
        turn: which application of a recursion this is, from 0.
    """

    x: Float[Tensor, "batch tokens width"]
    grid: tuple[int, int] | None
    prefix: int = 0
    position: Float[Tensor, "1 tokens position_width"] | None = None
    shared: tuple[Tensor, ...] = ()
    bias: Float[Tensor, "#batch #heads tokens tokens"] | None = None
    turn: int = 0

    def as_map(self) -> Float[Tensor, "batch width rows columns"]:
        """The tokens after the prefix as a feature map; raises ConfigError where they have no grid."""
        if self.grid is None:
            raise ConfigError("the features are a sequence without rows and columns: they cannot be a map")
        features: Tensor = self.x[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)
        return features

    def with_map(self, features: Float[Tensor, "batch width rows columns"]) -> "Tokens":
        """The same with the grid replaced by a feature map of any size; only without a prefix."""
        return replace(
            self, x=features.flatten(2).transpose(1, 2), grid=(features.shape[-2], features.shape[-1])
        )


# torch.export and FSDP2 look inside values that cross a module boundary: this tells them how.
torch.export.register_dataclass(Tokens, serialized_type_name="vitreous.Tokens")
