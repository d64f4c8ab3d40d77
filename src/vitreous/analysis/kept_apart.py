"""Which tokens a pooling keeps apart: how alike neighbours are that share a window, and that do not.

    joined    mean cosine of neighbouring tokens that fall into one window of the pool
    apart     mean cosine of neighbouring tokens on both sides of a window's edge
    lost      variance inside windows / variance of all tokens of an image: what a mean over windows
    forgets, 0 to 1

A pool that joins what is alike anyway has `joined` well above the centred similarity of distant tokens, and
a small `lost`. PSViT (arXiv 2108.03428) pools where tokens are redundant and names no measure; these are
ours. Windows of a strided convolution overlap: a token belongs to the window that its row and column fall
into by the stride. Control: the untrained model, and random windows of equal size (`lost` of them is 1 −
1/size for unrelated tokens).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitreous.parts.merge_patches import MergePatchesModule
from vitreous.parts.token_pool import GridPoolModule, LinePoolModule


@dataclass(frozen=True)
class KeptApart:
    """Means over images; cosines are centred by the mean token of each image."""

    joined: float
    apart: float
    lost: float


def kept_apart(
    patches: Float[Tensor, "batch patches width"],
    windows: Int[Tensor, " patches"],
    neighbours: Int[Tensor, "pairs 2"],
) -> KeptApart:
    """The three numbers.

    Args:
        patches: what enters the pool, without the prefix.
        windows: the window of each token.
        neighbours: pairs of tokens that stand beside each other.
    """
    tokens = patches.double() - patches.double().mean(dim=1, keepdim=True)
    unit = nn.functional.normalize(tokens, dim=-1)
    first, second = neighbours.unbind(dim=1)
    cosine = (unit[:, first] * unit[:, second]).sum(dim=-1).mean(dim=0)
    same = windows[first] == windows[second]
    count = windows.bincount().to(tokens)
    sums = tokens.new_zeros(len(tokens), len(count), tokens.shape[-1]).index_add_(1, windows, tokens)
    between = (sums.square().sum(dim=-1) / count).sum(dim=-1)  # Σ n · |mean|²
    total = tokens.square().sum(dim=(1, 2)).clamp_min(1e-300)
    return KeptApart(_mean(cosine[same]), _mean(cosine[~same]), float((1 - between / total).mean()))


def windows_of(
    pool: nn.Module, patches: int, grid: tuple[int, int] | None
) -> tuple[Int[Tensor, " patches"], Int[Tensor, "pairs 2"]] | None:
    """The window of each token and the pairs of neighbours; None for a module that is no pool."""
    if isinstance(pool, LinePoolModule):
        number = torch.arange(patches)
        return number // pool.window, torch.stack((number[:-1], number[1:]), dim=1)
    if isinstance(pool, GridPoolModule):
        stride = int(pool.conv.stride[0])
    elif isinstance(pool, MergePatchesModule):
        stride = 2
    else:
        return None
    assert grid is not None  # such pools have refused sequences
    columns = grid[1]
    number = torch.arange(patches)
    row, column = number // columns // stride, number % columns // stride
    windows = row * -(-columns // stride) + column
    return windows, grid_neighbours(grid)


def grid_neighbours(grid: tuple[int, int]) -> Int[Tensor, "pairs 2"]:
    """Tokens beside and below each other."""
    number = torch.arange(grid[0] * grid[1]).view(grid)
    right = torch.stack((number[:, :-1].flatten(), number[:, 1:].flatten()), dim=1)
    down = torch.stack((number[:-1].flatten(), number[1:].flatten()), dim=1)
    return torch.cat((right, down))


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else float("nan")
