"""Relative position: a learned number for each head and each offset between two tokens of the grid.

    scores[h, i, j] += table[(row_i − row_j, column_i − column_j), h]        for i, j on the grid

Swin (Liu et al., arXiv 2103.14030, section 3.2). Scores with prefix tokens stay as they are. The table starts
at zero in LaPE's released code (Ingrid725/LaPE) and near it, N(0, 0.02²), in Swin's. With `norm` each row of
the gathered bias is normalised over the keys before it is added, as LaPE's released code does under the
joining `LN` (one scale and shift for each key, ε = 1e-5, for all heads); no number for it is published.

Where a class token alone is read, the last layer's table changes nothing and gets no gradient: it acts on the
scores of patches, and the class token looks at them without it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.parts.description import Description
from vitreous.parts.part import Norm
from vitreous.parts.position_table import check_grid
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class RelativePosition(Description):
    """A bias of attention that depends on the offset between two tokens.

    Args:
        norm: over the keys, or None.
    """

    norm: Norm | None = None

    def build(self, shape: TokenShape, heads: int) -> nn.Module:
        """A module Tokens → (1, heads, tokens, tokens); raises ConfigError where there is no grid."""
        grid = shape.rows_and_columns("RelativePosition")
        norm = self.norm.build(grid[0] * grid[1]) if self.norm else nn.Identity()
        return RelativePositionModule(grid, shape.prefix, heads, norm)


class RelativePositionModule(nn.Module):
    """The module behind `RelativePosition`."""

    WITHOUT_DECAY = ("table",)
    index: Tensor

    def __init__(self, grid: tuple[int, int], prefix: int, heads: int, norm: nn.Module) -> None:
        super().__init__()
        rows, columns = self.grid = grid
        self.prefix = prefix
        self.table = nn.Parameter(torch.zeros((2 * rows - 1) * (2 * columns - 1), heads))
        self.norm = norm
        row = torch.arange(rows).repeat_interleave(columns)
        column = torch.arange(columns).repeat(rows)
        down = row[:, None] - row[None] + rows - 1
        right = column[:, None] - column[None] + columns - 1
        self.register_buffer("index", down * (2 * columns - 1) + right, persistent=False)

    def forward(self, tokens: Tokens) -> Float[Tensor, "1 heads tokens tokens"]:
        """The bias of every pair, 0 where one is in the prefix; raises ConfigError for another grid."""
        check_grid("RelativePosition", self.grid, tokens)
        bias = self.norm(self.table[self.index].permute(2, 0, 1))
        return F.pad(bias, (self.prefix, 0, self.prefix, 0))[None]
