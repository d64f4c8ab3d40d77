"""A part on the transposed tokens: what it does to a token's channels happens to a channel's tokens.

    x ← part(xᵀ)ᵀ                                                     x (tokens, width), xᵀ (width, tokens)

`Transposed(FeedForward(4))` is the feed-forward over tokens of Melas-Kyriazi, "Do You Even Need Attention?",
arXiv 2105.02723, section 3.1 (released code lukemelas/do-you-even-need-attention): its norm then runs over
the tokens of a channel, its maps mix the tokens, and prefix tokens are mixed with the others.
`Transposed(Mix(Attention(1)))` is attention over the features, of the same paper's section 3.4.

Its weights belong to places, so it takes tokens of the one grid that it was built for, and none without a
fixed place (inside shuffled slices). On the inside there is no grid, no prefix, no carried position and no
lent attention: these belong to tokens, and pass by outside.

Cost: one copy of the tokens on the way in and one on the way out. Without them every norm, sum and backward
pass inside and behind would transpose again: five times in a feed-forward's training step instead of four.
"""

from dataclasses import dataclass, replace

from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Part
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class Transposed(Part):
    """A part that works on xᵀ and keeps its shape."""

    part: Part

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """The part, built for as many channels as there are tokens.

        Raises:
            ConfigError: tokens without a fixed place, or a part that does not fit or does not keep the shape.
        """
        check_placed("Transposed", shape)
        inside = self._inside(shape)
        try:
            after = self.part.out_shape(inside)
            if (after.width, after.tokens) != (inside.width, inside.tokens):
                raise ConfigError(
                    f"{type(self.part).__name__} makes them {after.tokens} tokens of {after.width} channels; "
                    "only a part that keeps both numbers can be turned back"
                )
            part = self.part.build(inside)
        except ConfigError as error:
            raise ConfigError(
                f"Transposed: inside it are {inside.tokens} tokens of {inside.width} channels, without a "
                f"grid, a position or lent attention: {error}"
            ) from None
        return TransposedModule(part, shape)

    def macs(self, shape: TokenShape) -> Macs:
        """The part's, with tokens and width exchanged."""
        return self.part.macs(self._inside(shape))

    def _inside(self, shape: TokenShape) -> TokenShape:
        return TokenShape(shape.tokens, grid=None, sequence=shape.width, turn=shape.turn)


class TransposedModule(nn.Module):
    """The module behind `Transposed`."""

    def __init__(self, part: nn.Module, shape: TokenShape) -> None:
        super().__init__()
        self.part = part
        self.shape = shape

    def forward(self, tokens: Tokens) -> Tokens:
        """The same tokens but for x; raises ConfigError for tokens of another grid."""
        check_places("Transposed", self.shape, tokens.grid, tokens.x.shape[1])
        inside = Tokens(tokens.x.transpose(1, 2).contiguous(), grid=None, turn=tokens.turn)
        return replace(tokens, x=self.part(inside).x.transpose(1, 2).contiguous())


def check_placed(who: str, shape: TokenShape) -> None:
    """Raises ConfigError where tokens have no fixed place that a weight could belong to."""
    if shape.shuffled:
        raise ConfigError(
            f"{who}: each of its weights belongs to a place, and in slices that are shuffled or change in "
            f"number other tokens stand there in each turn; outside the slices {who} works"
        )


def check_places(who: str, built: TokenShape, grid: tuple[int, int] | None, tokens: int) -> None:
    """Raises ConfigError for tokens of another grid or number than built for."""
    if (grid, tokens) != (built.grid, built.tokens):
        raise ConfigError(
            f"{who}: each of its weights belongs to a place; it was built for "
            f"{_in_words(built.grid, built.tokens)} and the images give {_in_words(grid, tokens)}; resize "
            "the images to the size that the model was built for, or build it for this size"
        )


def _in_words(grid: tuple[int, int] | None, tokens: int) -> str:
    if grid is None:
        return f"{tokens} tokens"
    before = tokens - grid[0] * grid[1]
    return f"{tokens} tokens ({grid[0]}×{grid[1]}" + (f" and {before} before them)" if before else ")")
