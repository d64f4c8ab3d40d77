"""Attention rollout: from which tokens the tokens of the last layer have come, attention alone counted.

    A′_l = ½ · mean over heads(A_l) + ½ · I          R = A′_L · … · A′_1        rows sum to 1

Abnar and Zuidema, "Quantifying Attention Flow in Transformers", arXiv 2005.00928, section 4. It knows
nothing of values, feed-forward branches and convolutions, and cannot pass a pool: of a model that pools, it
is of the layers since the last (ours). Control: the untrained model, whose nearly uniform maps give a
nearly uniform rollout.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def rollout(
    maps: Sequence[Float[Tensor, "batch heads tokens tokens"]], *, identity: float = 0.5
) -> Float[Tensor, "batch tokens tokens"]:
    """Maps in order of depth, all of equally many tokens.

    Args:
        maps: of each layer.
        identity: the part that passes by a layer.
    """
    rolled: Tensor | None = None
    for each in maps:
        mean = each.mean(dim=1)
        passed = (1 - identity) * mean + identity * torch.eye(mean.shape[-1], device=mean.device).to(mean)
        rolled = passed if rolled is None else passed @ rolled
    assert rolled is not None, "at least one map"
    return rolled


def since_last_pool(tokens: Sequence[int]) -> int:
    """The first of the layers that have as many tokens as the last."""
    first = len(tokens) - 1
    while first and tokens[first - 1] == tokens[-1]:
        first -= 1
    return first
