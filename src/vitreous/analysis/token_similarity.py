"""How alike the patch tokens of an image are, layer by layer.

    raw        mean cosine of two different patches of an image
    centred    the same after the mean token of the data is taken away
    rank       effective rank: exp of the entropy of σ / Σσ, σ the singular values of the tokens

Raw similarity near 1 is usual deep in a ViT, and much of it is one common offset, which centring removes:
read both. FDViT reports the raw one; effective rank is Roy and Vetterli's (EUSIPCO 2007), of tokens ours.
Pooling is expected to lower similarity (PSViT). Controls: the untrained model; random tokens have about 0,
and a rank near min(tokens, width).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vitreous.analysis.entropy import entropy


def mean_cosine(
    patches: Float[Tensor, "batch patches width"], mean: Float[Tensor, " width"] | None = None
) -> Float[Tensor, " batch"]:
    """Mean cosine over pairs of different patches, −1 to 1; after `mean` is taken away where given.

    Sums over all pairs come from one sum over tokens: |Σ u|² = Σ_i Σ_j u_i · u_j for unit vectors u.
    """
    tokens = patches if mean is None else patches - mean
    unit = torch.nn.functional.normalize(tokens.double(), dim=-1)
    count = unit.shape[1]
    own = unit.square().sum(dim=(1, 2))  # tokens of length 0 are like no other
    return (unit.sum(dim=1).square().sum(dim=-1) - own) / max(1, count * (count - 1))


def effective_rank(patches: Float[Tensor, "batch patches width"]) -> Float[Tensor, " batch"]:
    """1 for tokens along one line, up to min(patches, width)."""
    small = patches.double()
    wide = small if small.shape[1] <= small.shape[2] else small.transpose(1, 2)
    gram = wide @ wide.transpose(1, 2)
    values = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    share = values / values.sum(dim=-1, keepdim=True).clamp_min(1e-300)
    return entropy(share).exp()


def neighbour_cosine(
    patches: Float[Tensor, "batch patches width"], grid: tuple[int, int], mean: Tensor | None = None
) -> Float[Tensor, " batch"]:
    """Mean cosine of patches beside or below each other: what a pool would join."""
    tokens = patches if mean is None else patches - mean
    unit = torch.nn.functional.normalize(tokens.double(), dim=-1).unflatten(1, grid)
    down = (unit[:, 1:] * unit[:, :-1]).sum(dim=-1).flatten(1)
    right = (unit[:, :, 1:] * unit[:, :, :-1]).sum(dim=-1).flatten(1)
    return torch.cat((down, right), dim=1).mean(dim=1)
