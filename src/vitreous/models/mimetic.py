"""Attention that starts as it looks after pretraining: queries find their own token, values are taken back.

    each head    W_Q · W_Kᵀ    ≈  α·Z + β·I,   α = β = 0.7, the best approximation of rank head_width
    each layer   W_V · W_proj  =  α·Z − β·I,   α = β = 0.4

with Z ~ N(0, 1/d) of its own for each, d the width, and both sides from the singular value decomposition
U·Σ·Vᵀ: U·√Σ and V·√Σ. Learned position tables start as sines and cosines (`Sinusoid2D`), where 4 divides d.

Trockman & Kolter, "Mimetic Initialization of Self-Attention Layers" (ICML 2023, arXiv 2305.09828), section 4;
the constants are those of their experiments on images. Code in circulation stores W_V and W_proj
untransposed, which gives another product with the same trace; here it is the paper's. Ours: attention over
some of the channels (EIT), in slices or windows, behind LaPE and in recursions is treated the same at its own
width, and a layer that shares a map gets values and projection alone. Biases, and all else, start as ever.
"""

import torch
from torch import Tensor, nn

from vitreous.parts.attention import AttentionModule
from vitreous.parts.position_table import GridTableModule, LearnedTableModule, sinusoid
from vitreous.parts.shared_attention import SharedAttentionModule

QUERY_KEY = 0.7
VALUE_PROJECTION = 0.4


@torch.no_grad()
def start_mimetic(model: nn.Module) -> None:
    """Draw the weights of all attention of a freshly built model anew, from torch's default generator.

    Args:
        model: on the CPU; a model without attention stays as it is but for its position tables.
    """
    for module in model.modules():
        if isinstance(module, AttentionModule):
            width = module.project.in_features
            _start_maps(module.qkv.weight, module.heads)
            values, projection = factors(width, width, VALUE_PROJECTION, -VALUE_PROJECTION)
            module.qkv.weight[2 * width :] = values.T
            module.project.weight.copy_(projection)
        elif isinstance(module, SharedAttentionModule):
            width = module.project.in_features
            values, projection = factors(width, width, VALUE_PROJECTION, -VALUE_PROJECTION)
            module.value.weight.copy_(values.T)
            module.project.weight.copy_(projection)
        elif isinstance(module, LearnedTableModule) and module.grid and module.weight.shape[2] % 4 == 0:
            rows, columns = module.grid
            module.weight[0, -rows * columns :] = sinusoid(rows, columns, module.weight.shape[2])
        elif isinstance(module, GridTableModule) and module.weight.shape[1] % 4 == 0:
            module.weight[0] = sinusoid(*module.size, module.weight.shape[1]).T.unflatten(1, module.size)


def factors(width: int, rank: int, alpha: float, beta: float) -> tuple[Tensor, Tensor]:
    """Two (width, rank) matrices L, R with L·Rᵀ the best approximation of α·Z + β·I.

    Args:
        width: of the square matrix.
        rank: at most the width, where the product is exact.
        alpha: of the noise Z ~ N(0, 1/width).
        beta: of the identity.
    """
    noise = torch.randn(width, width) / width**0.5
    left, singular, right = torch.linalg.svd(alpha * noise + beta * torch.eye(width))
    root = singular[:rank].sqrt()
    return left[:, :rank] * root, right[:rank].T * root


def _start_maps(qkv: Tensor, heads: int) -> None:
    """Rows of queries and keys, head by head; queries come first, keys second."""
    width = qkv.shape[1]
    each = width // heads
    for head in range(heads):
        queries, keys = factors(width, each, QUERY_KEY, QUERY_KEY)
        rows = slice(head * each, (head + 1) * each)
        qkv[:width][rows] = queries.T
        qkv[width : 2 * width][rows] = keys.T
