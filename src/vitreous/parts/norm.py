"""Layer normalisation: each token to mean 0 and variance 1 over its channels, then a learned scale and shift.

    y = (x − mean(x)) / √(var(x) + ε) · γ + β

Ba, Kiros, Hinton, arXiv 1607.06450. Vision transformers use ε = 1e-6 where torch's default is 1e-5.
`NoNorm` leaves tokens as they are, for branches whose stream is normalised already; `Normalize` normalises
the stream itself, between branches (SHI-Labs/Compact-Transformers do both in each block).
"""

from dataclasses import dataclass, replace

from torch import nn

from vitreous.parts.macs import Macs
from vitreous.parts.part import Norm, Part
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class LayerNorm(Norm):
    """Layer normalisation with the ε of vision transformers."""

    eps: float = 1e-6

    def build(self, width: int) -> nn.Module:
        """torch's own module."""
        return nn.LayerNorm(width, eps=self.eps)


@dataclass(frozen=True, repr=False)
class NoNorm(Norm):
    """Tokens as they are."""

    def build(self, width: int) -> nn.Module:
        """torch's own identity."""
        return nn.Identity()


@dataclass(frozen=True, repr=False)
class Normalize(Part):
    """The stream itself normalised: x ← norm(x)."""

    norm: Norm = LayerNorm()

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """The norm."""
        return NormalizeModule(self.norm.build(shape.width))

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()


class NormalizeModule(nn.Module):
    """The module behind `Normalize`."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, tokens: Tokens) -> Tokens:
        """The normalised tokens."""
        return replace(tokens, x=self.norm(tokens.x))
