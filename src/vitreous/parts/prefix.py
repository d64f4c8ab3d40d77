"""The class token: one learned token, the same for every image, put before the grid.

    x ← [class; x]                          Dosovitskiy et al., arXiv 2010.11929, section 3.1

It gathers what the head reads. It has no place on the grid, so parts that work on the grid leave it out.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from vitreous.parts.part import Part
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class ClassToken(Part):
    """One learned token before all others."""

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """One more prefix token."""
        return replace(shape, prefix=shape.prefix + 1)

    def build(self, shape: TokenShape) -> nn.Module:
        """The token and a concatenation."""
        return ClassTokenModule(shape.width)


class ClassTokenModule(nn.Module):
    """The module behind `ClassToken`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, tokens: Tokens) -> Tokens:
        """The tokens with the class token in front."""
        token = self.token.expand(tokens.x.shape[0], -1, -1)
        return replace(tokens, x=torch.cat((token, tokens.x), dim=1), prefix=tokens.prefix + 1)
