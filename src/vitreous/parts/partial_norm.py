"""Parts of layer normalisation, to see which of them matters: standardising, a scale, a shift.

    y = s · x̂ + b        x̂ = (x − mean(x)) / √(var(x) + ε), or x itself;  s: 1, a number, or one a channel

Yu et al., ICCV 2023, table 8, takes LaPE's norm apart in this way (DeiT-Ti, ImageNet top-1; joining at the
input: 71.54):

    w  70.67      c·w  71.22      g·w  71.13      g·w + b  70.85
    x̂  72.56      c·x̂  72.49      g·x̂  71.80      g·x̂ + b  73.11, which is LayerNorm

Whether the paper chained the weaker forms from layer to layer too is not said; `LaPE(progressive=…)` chooses.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.parts.part import Norm


@dataclass(frozen=True, repr=False)
class PartialNorm(Norm):
    """What is left of layer normalisation.

    Args:
        standardize: whether each token is brought to mean 0 and variance 1.
        scale: nothing, one learned number for all channels, or one a channel; 1 at the start.
        shift: whether a learned vector is added; 0 at the start.
        eps: ε of the variance.
    """

    standardize: bool = True
    scale: Literal["none", "one", "channel"] = "none"
    shift: bool = False
    eps: float = 1e-6

    def build(self, width: int) -> nn.Module:
        """At most two parameters."""
        return PartialNormModule(self, width)


class PartialNormModule(nn.Module):
    """The module behind `PartialNorm`."""

    def __init__(self, described: PartialNorm, width: int) -> None:
        super().__init__()
        self.eps = described.eps if described.standardize else None
        numbers = {"none": 0, "one": 1, "channel": width}[described.scale]
        self.weight = nn.Parameter(torch.ones(numbers)) if numbers else None
        self.bias = nn.Parameter(torch.zeros(width)) if described.shift else None

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """What is described, and no more."""
        y = x if self.eps is None else F.layer_norm(x, x.shape[-1:], eps=self.eps)
        y = y if self.weight is None else y * self.weight
        return y if self.bias is None else y + self.bias
