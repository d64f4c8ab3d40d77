"""The prefix: learned tokens, the same for every image, put before the grid; or none.

    ClassToken       x ← [class; x]                   Dosovitskiy et al., arXiv 2010.11929, section 3.1
    DistilledTokens  x ← [class; distillation; x]     Touvron et al., arXiv 2012.12877, figure 2
    NoPrefix         x ← x

A class token gathers what the head reads. It has no place on the grid, so parts that work on the grid leave
it out. Models that end in the mean of all tokens have none.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from vitreous.parts.macs import Macs
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

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()


class ClassTokenModule(nn.Module):
    """The module behind `ClassToken`."""

    WITHOUT_DECAY: tuple[str, ...] = ("token",)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, tokens: Tokens) -> Tokens:
        """The tokens with the class token in front."""
        token = self.token.expand(tokens.x.shape[0], -1, -1)
        return replace(tokens, x=torch.cat((token, tokens.x), dim=1), prefix=tokens.prefix + 1)


@dataclass(frozen=True, repr=False)
class DistilledTokens(Part):
    """A class token and a distillation token before all others: one for labels, one for a teacher."""

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """Two more prefix tokens."""
        return replace(shape, prefix=shape.prefix + 2)

    def build(self, shape: TokenShape) -> nn.Module:
        """The tokens and a concatenation."""
        return DistilledTokensModule(shape.width)

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()


class DistilledTokensModule(ClassTokenModule):
    """The module behind `DistilledTokens`."""

    WITHOUT_DECAY = ("token", "distillation")

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.distillation = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, tokens: Tokens) -> Tokens:
        """The tokens with both in front."""
        both = torch.cat((self.token, self.distillation), dim=1).expand(tokens.x.shape[0], -1, -1)
        return replace(tokens, x=torch.cat((both, tokens.x), dim=1), prefix=tokens.prefix + 2)


@dataclass(frozen=True, repr=False)
class NoPrefix(Part):
    """Nothing before the grid."""

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """torch's own identity."""
        return nn.Identity()

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()
