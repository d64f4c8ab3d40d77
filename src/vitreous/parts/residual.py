"""How a residual branch y comes back to what it branched from, x.

    PlainSum     x + y
    LearnedSum   α · x + β · y       one learned number each, both 1 at the start

He et al., arXiv 1512.03385; learnable residual coefficients (LRC) are SReT's (Shen et al., arXiv 2111.05297;
released code, where each is called `coefficient`). DropPath has acted on y before.

The learned sum is nothing but memory traffic, and SReT adds sixty times. torch's own derivative of α · x
writes gradient · x to memory only to add it up; ours is a dot product, which writes one number. A compiler
fuses the plain formula by itself, so it is given that.
"""

from dataclasses import dataclass
from typing import Any

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
    """The module behind `LearnedSum`: α is `identity`, β is `branch`."""

    def __init__(self) -> None:
        super().__init__()
        self.identity = nn.Parameter(torch.ones(1))
        self.branch = nn.Parameter(torch.ones(1))

    def forward(
        self, x: Float[Tensor, "batch tokens width"], y: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The weighted sum."""
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            summed: Tensor = WeightedSum.apply(x, y, self.identity, self.branch)
            return summed
        return torch.addcmul(self.identity * x, self.branch, y)


class WeightedSum(torch.autograd.Function):
    """α · x + β · y with both sums over the gradient as dot products."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, y: Tensor, identity: Tensor, branch: Tensor) -> Tensor:
        """The weighted sum."""
        return torch.addcmul(identity * x, branch, y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Everything is needed again; x and y are kept by their neighbours mostly."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """α · g, β · g, ⟨g, x⟩, ⟨g, y⟩; nothing for what needs no gradient."""
        x, y, identity, branch = ctx.saved_tensors
        to_x, to_y, to_identity, to_branch = ctx.needs_input_grad
        return (
            gradient * identity if to_x else None,
            gradient * branch if to_y else None,
            inner(gradient, x) if to_identity else None,
            inner(gradient, y) if to_branch else None,
        )


def inner(gradient: Tensor, of: Tensor) -> Tensor:
    """The inner product of two tensors of one shape, as a vector of one number in the gradient's type."""
    return torch.dot(gradient.flatten(), of.to(gradient.dtype).flatten())[None]
