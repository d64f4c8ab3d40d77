"""Position: what tells a token where on the grid it stands, added once before the layers.

    x ← dropout(x + table)      LearnedPosition: one learned vector for each token, the prefix included
    x ← dropout(x)              NoPosition: convolutions carry position (EIT), or none is wanted

Dosovitskiy et al., arXiv 2010.11929, section 3.1. A table belongs to one grid: a model with one refuses
images of another size; a model without runs at any size.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts.drop import Dropout
from vitreous.parts.part import Part
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class LearnedPosition(Part):
    """One learned vector for each token."""

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """A table as large as the tokens."""
        return LearnedPositionModule(shape)


class LearnedPositionModule(nn.Module):
    """The module behind `LearnedPosition`."""

    def __init__(self, shape: TokenShape) -> None:
        super().__init__()
        self.grid = shape.grid
        self.table = nn.Parameter(torch.zeros(1, shape.tokens, shape.width))
        self.drop = Dropout()

    def forward(self, tokens: Tokens) -> Tokens:
        """The table added; raises ConfigError for tokens of another grid."""
        if tokens.grid != self.grid:
            raise ConfigError(
                f"LearnedPosition: the position table is for a grid of {self.grid[0]}×{self.grid[1]} tokens "
                f"and the images give {tokens.grid[0]}×{tokens.grid[1]}; resize the images to the size that "
                "the model was built for, or build it for this size"
            )
        return replace(tokens, x=self.drop(tokens.x + self.table))


@dataclass(frozen=True, repr=False)
class NoPosition(Part):
    """Tokens as they are, after the recipe's dropout."""

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """Only the dropout."""
        return NoPositionModule()


class NoPositionModule(nn.Module):
    """The module behind `NoPosition`."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = Dropout()

    def forward(self, tokens: Tokens) -> Tokens:
        """The same tokens."""
        return replace(tokens, x=self.drop(tokens.x))
