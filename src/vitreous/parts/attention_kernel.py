"""Which kernel computes attention: torch's fused one, or the explicit product softmax(q · kᵀ / √d) · v.

Both give the same values and gradients. Which is faster depends on device, type, number of tokens, head
width and whether gradients are needed, so the choice is one fixed rule, here and nowhere else; nothing is
timed at run time. `benchmarks/attention_kernels.py` measures what the rule rests on.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def attend(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens head_width"],
    *,
    dropout: float = 0.0,
    keep_map: bool = False,
) -> tuple[Float[Tensor, "batch heads tokens head_width"], Float[Tensor, "batch heads tokens tokens"] | None]:
    """Values mixed by attention, and the map (before dropout) where it is asked for.

    Args:
        q, k, v: queries, keys and values.
        dropout: share of the map's weights that is dropped, 0 in evaluation.
        keep_map: also return the map; this needs the explicit product.
    """
    needs_gradients = torch.is_grad_enabled() and q.requires_grad
    if keep_map or not fused_is_faster(q.device.type, q.dtype, q.shape[-2], q.shape[-1], needs_gradients):
        return explicit(q, k, v, dropout, keep_map)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout), None


def fused_is_faster(device: str, dtype: torch.dtype, tokens: int, head_width: int, gradients: bool) -> bool:
    """The rule."""
    if device == "meta":
        return (
            False  # nothing runs there; the explicit product shows a counter of operations both its products
        )
    if device == "cpu":
        return not (gradients and dtype in (torch.bfloat16, torch.float16))
    return True


def explicit(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens head_width"],
    dropout: float,
    keep_map: bool,
) -> tuple[Float[Tensor, "batch heads tokens head_width"], Float[Tensor, "batch heads tokens tokens"] | None]:
    """The product spelled out; the scale is applied to q, the smaller tensor."""
    attention = (q * (1.0 / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)).softmax(dim=-1)
    return F.dropout(attention, dropout, dropout > 0.0) @ v, attention if keep_map else None
