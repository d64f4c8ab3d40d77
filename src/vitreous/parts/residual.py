"""How a residual branch y comes back to what it branched from, x.

    PlainSum     x + y
    LearnedSum   α · x + β · y       one learned number each, both 1 at the start

He et al., arXiv 1512.03385; learnable residual coefficients (LRC) are SReT's (Shen et al., arXiv 2111.05297;
released code, where each is called `coefficient`). DropPath has acted on y before.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.parts.part import Sum


@dataclass(frozen=True, repr=False)
class PlainSum(Sum):
    """x + y."""

    def build(self) -> nn.Module:
        """No parameters."""
        return PlainSumModule()


class PlainSumModule(nn.Module):
    """The module behind `PlainSum`."""

    def forward(
        self, x: Float[Tensor, "batch tokens width"], y: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The sum."""
        return x + y


@dataclass(frozen=True, repr=False)
class LearnedSum(Sum):
    """α · x + β · y."""

    def build(self) -> nn.Module:
        """Two parameters."""
        return LearnedSumModule()


class LearnedSumModule(nn.Module):
    """The module behind `LearnedSum`."""

    def __init__(self) -> None:
        super().__init__()
        self.identity = nn.Parameter(torch.ones(1))
        self.branch = nn.Parameter(torch.ones(1))

    def forward(
        self, x: Float[Tensor, "batch tokens width"], y: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The weighted sum."""
        return self.identity * x + self.branch * y
