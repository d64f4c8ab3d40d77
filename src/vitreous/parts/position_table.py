"""Position tables: one vector for each token that says where it stands. `position.py` joins them to tokens.

    LearnedTable   learned, prefix included                             Dosovitskiy et al., arXiv 2010.11929
    GridTable      learned on a grid of its own, resized where the tokens' grid differs; the prefix apart
    Sinusoid1D     angle(p, i) = p / 10000^(2⌊i/2⌋/width), even i sine, odd i cosine, p counts all tokens
    Sinusoid2D     the first half of the channels by column, the second by row, sine and cosine in turn with
                   f_k = 10000^(−2k/(width/2)); zero for the prefix

Sinusoids as in the released code of LaPE (Ingrid725/LaPE); they are computed, not learned. A table belongs to
one grid: a model with one refuses images of another size.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.description import Description
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class Table(Description):
    """Describes a position table."""

    @abstractmethod
    def build(self, shape: TokenShape) -> nn.Module:
        """A module Tokens → (1, tokens, width); raises ConfigError where the shape cannot work."""


def check_grid(who: str, built: tuple[int, int] | None, tokens: Tokens) -> None:
    """Raises ConfigError for tokens of another grid than the one built for."""
    if tokens.grid != built:
        there, here = (f"{grid[0]}×{grid[1]} tokens" if grid else "none" for grid in (built, tokens.grid))
        raise ConfigError(
            f"{who}: the position table is for a grid of {there} and the images give {here}; resize the "
            "images to the size that the model was built for, or build it for this size"
        )


@dataclass(frozen=True, repr=False)
class LearnedTable(Table):
    """One learned vector for each token."""

    def build(self, shape: TokenShape) -> nn.Module:
        """A table as large as the tokens."""
        return LearnedTableModule(shape)


class LearnedTableModule(nn.Module):
    """The module behind `LearnedTable`."""

    WITHOUT_DECAY = ("weight",)

    def __init__(self, shape: TokenShape) -> None:
        super().__init__()
        self.grid = shape.grid
        self.weight = nn.Parameter(torch.zeros(1, shape.tokens, shape.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "1 tokens width"]:
        """The table; raises ConfigError for tokens of another grid."""
        check_grid("LearnedTable", self.grid, tokens)
        return self.weight


@dataclass(frozen=True, repr=False)
class GridTable(Table):
    """A learned feature map, with vectors of its own for the prefix.

    Args:
        size: rows and columns of the map, resized (bilinear, corners not aligned) to the tokens' grid in each
            pass; None for a map as large as the grid.
        prefix: False for zeros in place of the prefix's vectors, as in PiT (arXiv 2103.16302).
    """

    size: tuple[int, int] | None = None
    prefix: bool = True

    def build(self, shape: TokenShape) -> nn.Module:
        """A map, and a table for the prefix where there is one."""
        grid = shape.rows_and_columns("GridTable")
        return GridTableModule(self.size or grid, grid, shape, self.prefix)


class GridTableModule(nn.Module):
    """The module behind `GridTable`."""

    def __init__(self, size: tuple[int, int], grid: tuple[int, int], shape: TokenShape, prefix: bool) -> None:
        super().__init__()
        self.size = size
        self.grid = grid
        self.before = shape.prefix
        self.weight = nn.Parameter(torch.zeros(1, shape.width, *size))
        learned = prefix and shape.prefix
        self.prefix = nn.Parameter(torch.zeros(1, shape.prefix, shape.width)) if learned else None
        self.WITHOUT_DECAY = ("weight", "prefix") if learned else ("weight",)

    def forward(self, tokens: Tokens) -> Float[Tensor, "1 tokens width"]:
        """The prefix's vectors, then the map row by row; raises ConfigError for tokens of another grid."""
        check_grid("GridTable", self.grid, tokens)
        table: Tensor = self.weight
        if self.size != self.grid:
            table = F.interpolate(table, self.grid, mode="bilinear", align_corners=False)
        table = table.flatten(2).transpose(1, 2)
        if self.prefix is None:
            return F.pad(table, (0, 0, self.before, 0))
        return torch.cat((self.prefix, table), dim=1)


@dataclass(frozen=True, repr=False)
class Sinusoid1D(Table):
    """Sines and cosines of the token's number, the prefix counted."""

    def build(self, shape: TokenShape) -> nn.Module:
        """A fixed table."""
        number = torch.arange(shape.tokens, dtype=torch.float64)[:, None]
        pair = torch.arange(shape.width, dtype=torch.float64) // 2
        angle = number / 10000 ** (2 * pair / shape.width)
        even = torch.arange(shape.width) % 2 == 0
        return SinusoidModule("Sinusoid1D", shape, torch.where(even, angle.sin(), angle.cos()))


@dataclass(frozen=True, repr=False)
class Sinusoid2D(Table):
    """Sines and cosines of the token's column, then of its row."""

    def build(self, shape: TokenShape) -> nn.Module:
        """A fixed table; raises ConfigError where 4 does not divide the width."""
        rows, columns = shape.rows_and_columns("Sinusoid2D")
        if shape.width % 4:
            raise ConfigError(
                f"Sinusoid2D: it needs a width that 4 divides and this is {shape.width}; "
                f"{shape.width // 4 * 4 or 4} and {(shape.width // 4 + 1) * 4} do"
            )
        table = sinusoid(rows, columns, shape.width)
        prefix = torch.zeros(shape.prefix, shape.width, dtype=torch.float64)
        return SinusoidModule("Sinusoid2D", shape, torch.cat((prefix, table)))


def sinusoid(rows: int, columns: int, width: int) -> Float[Tensor, "tokens width"]:
    """Sines and cosines of the column, then of the row, in float64; the width is a multiple of 4."""
    frequency = torch.exp(-math.log(10000) * torch.arange(width // 4, dtype=torch.float64) * 4 / width)
    row = torch.arange(rows, dtype=torch.float64).repeat_interleave(columns)[:, None] * frequency
    column = torch.arange(columns, dtype=torch.float64).repeat(rows)[:, None] * frequency
    halves = [torch.stack((each.sin(), each.cos()), dim=2).flatten(1) for each in (column, row)]
    return torch.cat(halves, dim=1)


class SinusoidModule(nn.Module):
    """The module behind `Sinusoid1D` and `Sinusoid2D`: a table that no file needs to hold."""

    weight: Tensor

    def __init__(self, who: str, shape: TokenShape, table: Float[Tensor, "tokens width"]) -> None:
        super().__init__()
        self.who = who
        self.grid = shape.grid
        self.register_buffer("weight", table[None].to(torch.get_default_dtype()), persistent=False)

    def forward(self, tokens: Tokens) -> Float[Tensor, "1 tokens width"]:
        """The table; raises ConfigError for tokens of another grid."""
        check_grid(self.who, self.grid, tokens)
        return self.weight
