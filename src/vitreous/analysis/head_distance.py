"""How far each head looks, and how much the heads of a layer differ in it.

    Dist(head) = mean over images and queries i of Σ_j A_ij d_ij       d: between centres of tokens, px
    diversity  = population standard deviation of Dist over the heads of a layer

"Mean attention distance" of Dosovitskiy et al., arXiv 2010.11929, section 4.5; EIT (arXiv 2203.07116)
measures the diversity of the heads by it. Rows and columns of prefix tokens are left out and the rest of a
row sums to 1 again (ours; `renormalize=False` for not). Which spread the paper takes is not known: `Spread`
has three. Control: attention that looks at all tokens of its group alike, `uniform_distance`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitreous.analysis.seen import AttentionMap


@dataclass(frozen=True)
class Spread:
    """How the heads of a layer differ: standard deviation and range in pixels, variance in pixels²."""

    deviation: float
    variance: float
    range: float


def head_distances(
    seen: AttentionMap, step: tuple[float, float], *, renormalize: bool = True
) -> Float[Tensor, "batch heads"]:
    """Mean distance of each image and head, in pixels; the map must have a grid.

    Args:
        seen: the map, in slices or windows too.
        step: pixels between neighbouring tokens, down and right.
        renormalize: whether rows sum to 1 again without the prefix.
    """
    distance, patches = _distances(seen, step)
    kept = seen.weights * patches[None, :, None, None, :]
    moved = torch.einsum("bghij,gij->bghi", kept, distance.to(kept))
    if renormalize:
        moved = moved / kept.sum(dim=-1).clamp_min(1e-12)
    rows = patches[None, :, None].to(moved)
    # A token stands in one group, a prefix token maybe in several: only patches are counted.
    return (moved * rows).sum(dim=(1, 3)) / rows.sum()


def uniform_distance(seen: AttentionMap, step: tuple[float, float]) -> float:
    """The same for attention that looks at all patches of its group alike."""
    distance, patches = _distances(seen, step)
    both = (patches[:, :, None] & patches[:, None]).to(distance)
    each = (distance * both).sum(dim=-1) / both.sum(dim=-1).clamp_min(1)
    return float(each.sum() / patches.sum())


def head_spread(distances: Float[Tensor, " heads"]) -> Spread:
    """How much the heads differ."""
    exact = distances.double()
    variance = float(exact.var(correction=0))
    return Spread(variance**0.5, variance, float(exact.max() - exact.min()))


def _distances(seen: AttentionMap, step: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Between the members of each group, and which of them are patches."""
    assert seen.grid is not None, "distances need rows and columns"
    place = seen.members - seen.prefix
    row, column = place // seen.grid[1] * step[0], place % seen.grid[1] * step[1]
    down, right = row[:, :, None] - row[:, None], column[:, :, None] - column[:, None]
    return (down.double() ** 2 + right.double() ** 2).sqrt(), place >= 0
