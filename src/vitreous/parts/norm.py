"""Layer normalisation: each token to mean 0 and variance 1 over its channels, then a learned scale and shift.

    y = (x − mean(x)) / √(var(x) + ε) · γ + β

Ba, Kiros, Hinton, arXiv 1607.06450. Vision transformers use ε = 1e-6 where torch's default is 1e-5.
"""

from dataclasses import dataclass

from torch import nn

from vitreous.parts.part import Norm


@dataclass(frozen=True, repr=False)
class LayerNorm(Norm):
    """Layer normalisation with the ε of vision transformers."""

    eps: float = 1e-6

    def build(self, width: int) -> nn.Module:
        """torch's own module."""
        return nn.LayerNorm(width, eps=self.eps)
