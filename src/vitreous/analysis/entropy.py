"""Entropy of distributions, in nats."""

import torch
from jaxtyping import Float
from torch import Tensor


def entropy(shares: Float[Tensor, "*rows outcomes"]) -> Float[Tensor, "*rows"]:
    """−Σ p ln p over the last dimension, with 0 ln 0 = 0: 0 for one outcome, ln n for n equal ones.

    As `torch.special.entr(shares).sum(-1)`, and faster on CPUs, where that takes its logarithms one by one.
    """
    logarithms = shares.clamp_min(torch.finfo(shares.dtype).tiny).log_()
    return -logarithms.mul_(shares).sum(dim=-1)
