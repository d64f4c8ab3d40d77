"""Patch merging: each 2×2 square of tokens becomes one, by a linear map of all its channels.

    x ← W · norm([x[0, 0]; x[1, 0]; x[0, 1]; x[1, 1]])            W: 4 · old width → width, without a bias

Swin (Liu et al., arXiv 2103.14030, section 3.1; released code microsoft/Swin-Transformer, where `width` is
twice the old one), in the released order of the four: down first, then right. The carried position and the
lent attention belong to the old grid and end here. An odd grid is refused, as in the released code; timm
adds a row or a column of zeros.
"""

from dataclasses import dataclass, replace

from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Norm, Part
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class MergePatches(Part):
    """A quarter of the tokens, each of four old ones.

    Args:
        width: channels of a token afterwards.
        norm: over the four old tokens side by side.
    """

    width: int
    norm: Norm = LayerNorm()

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """Half the rows and columns; nothing carried, nothing lent.

        Raises:
            ConfigError: a prefix, no grid, or an odd side.
        """
        rows, columns = shape.rows_and_columns("MergePatches")
        if shape.prefix:
            raise ConfigError(
                f"MergePatches: the {shape.prefix} tokens before the grid belong to no square; NoPrefix() "
                "with a MeanHead does without them, and a GridPool maps them to the new width"
            )
        check_even(rows, columns)
        return replace(shape, width=self.width, grid=(rows // 2, columns // 2), position=None, lent=None)

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm and linear map; raises ConfigError for the same reasons."""
        self.out_shape(shape)
        return MergePatchesModule(self.norm.build(4 * shape.width), shape.width, self.width)

    def macs(self, shape: TokenShape) -> Macs:
        """4 · old width · width for each new token."""
        return Macs(maps=self.out_shape(shape).tokens * 4 * shape.width * self.width)


def check_even(rows: int, columns: int) -> None:
    """Raises ConfigError for a grid with an odd side."""
    if rows % 2 or columns % 2:
        fitting = f"{rows + rows % 2}×{columns + columns % 2}"
        raise ConfigError(
            f"MergePatches: a grid of {rows}×{columns} tokens does not divide into squares of 2×2; "
            f"{fitting} does"
        )


class MergePatchesModule(nn.Module):
    """The module behind `MergePatches`."""

    def __init__(self, norm: nn.Module, old_width: int, width: int) -> None:
        super().__init__()
        self.norm = norm
        self.reduce = nn.Linear(4 * old_width, width, bias=False)

    def forward(self, tokens: Tokens) -> Tokens:
        """The merged tokens; raises ConfigError for a grid with an odd side."""
        assert tokens.grid is not None  # build() has refused shapes without one
        rows, columns = tokens.grid
        check_even(rows, columns)
        squares = tokens.x.unflatten(1, (rows // 2, 2, columns // 2, 2))
        four = (
            squares.permute(0, 1, 3, 4, 2, 5).flatten(3).flatten(1, 2)
        )  # (batch, new tokens, 4 · old width)
        x = self.reduce(self.norm(four))
        return replace(tokens, x=x, grid=(rows // 2, columns // 2), position=None, shared=())
