"""Values and whole branches dropped at random in training; in evaluation all of these are the identity.

Three rates belong to a training recipe, not to an architecture, so descriptions do not hold them. The
modules here are types that can be found in a built model, and `set_drop_rates` gives each its rate:

    Dropout           single values of the tokens (Srivastava et al. 2014)
    AttentionDropout  weights of an attention map, and values of a convolution that stands beside it
    DropPath          the whole branch of a residual sum, per image (Huang et al., arXiv 1603.09382)
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError


class Dropout(nn.Dropout):
    """torch's dropout, under the recipe's `dropout` rate."""

    def __init__(self) -> None:
        super().__init__(0.0)


class AttentionDropout(nn.Dropout):
    """torch's dropout, under the recipe's `attention_dropout` rate."""

    def __init__(self) -> None:
        super().__init__(0.0)


class DropPath(nn.Module):
    """Sets a branch to zero for some images of the batch and scales the others by 1 / (1 − rate)."""

    def __init__(self) -> None:
        super().__init__()
        self.p = 0.0

    def forward(self, y: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """One draw for each image."""
        if self.p == 0.0 or not self.training:
            return y
        keep = torch.empty((y.shape[0], 1, 1), dtype=y.dtype, device=y.device).bernoulli_(1.0 - self.p)
        return y * (keep / (1.0 - self.p))

    def extra_repr(self) -> str:
        """The rate, as torch shows it for its own dropout."""
        return f"p={self.p}"


def set_drop_rates(module: nn.Module, *, dropout: float, attention_dropout: float, drop_path: float) -> None:
    """Gives every dropping module inside `module` its rate, each in [0, 1).

    Raises:
        ConfigError: a rate lies outside [0, 1).
    """
    rates = {"dropout": dropout, "attention_dropout": attention_dropout, "drop_path": drop_path}
    for name, rate in rates.items():
        if not 0.0 <= rate < 1.0:
            raise ConfigError(f"{name} is {rate}; it is the share that is dropped, from 0 to below 1")
    for each in module.modules():
        if isinstance(each, Dropout):
            each.p = dropout
        elif isinstance(each, AttentionDropout):
            each.p = attention_dropout
        elif isinstance(each, DropPath):
            each.p = drop_path
