"""How attention is computed: three kernels with equal values and gradients, and the rule that picks one.

    explicit   softmax(q · kᵀ / √d) · v, product by product; the only one that has the map as a value
    fused      torch's scaled_dot_product_attention, which never writes the map to memory
    padded     the fused kernel on heads padded with zeros to a handier width; zeros change no product

Which is fastest depends on device, type, number of tokens, head width and whether gradients are needed.
`choose` is one fixed rule, here and nowhere else; nothing is timed at run time. It rests on
`benchmarks/attention_kernels.py`, run on an AMD EPYC (Zen 5, AVX-512 BF16) with torch 2.15.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def attend(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens value_width"],
    *,
    bias: Float[Tensor, "#batch #heads tokens tokens"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads tokens value_width"]:
    """Values mixed by attention.

    Args:
        q, k, v: queries, keys and values.
        bias: added to the scores.
        dropout: share of the map's weights that is dropped, 0 in evaluation.
    """
    needs_gradients = torch.is_grad_enabled() and q.requires_grad
    kernel = KERNELS[choose(q.device.type, q.dtype, q.shape[-2], q.shape[-1], needs_gradients)]
    return kernel(q, k, v, bias, dropout)


def attend_and_lend(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens value_width"],
    *,
    bias: Float[Tensor, "#batch #heads tokens tokens"] | None = None,
    dropout: float = 0.0,
) -> tuple[Float[Tensor, "batch heads tokens value_width"], tuple[Tensor, ...]]:
    """The same, and what a later layer needs to use this attention: (map,), or (q, k) and the bias."""
    needs_gradients = torch.is_grad_enabled() and q.requires_grad
    if lent_as_map(q.device.type, q.dtype, q.shape[-2], q.shape[-1], needs_gradients):
        kept = attention_map(q, k, bias)
        return F.dropout(kept, dropout, dropout > 0.0) @ v, (kept,)
    mixed = attend(q, k, v, bias=bias, dropout=dropout)
    return mixed, (q, k) if bias is None else (q, k, bias)


def lent_as_map(
    device: str, dtype: torch.dtype | None, tokens: int, head_width: int, gradients: bool
) -> bool:
    """Whether attention is lent as its map (True) or as queries and keys (False).

    The map is kept where it is the smaller of the two, tokens ≤ 2 · head_width (PSViT's cost rule; ours), and
    where the kernel writes it anyway.
    """
    explicit_anyway = dtype is not None and choose(device, dtype, tokens, head_width, gradients) == "explicit"
    return tokens <= 2 * head_width or explicit_anyway


def choose(device: str, dtype: torch.dtype, tokens: int, head_width: int, gradients: bool) -> str:
    """The rule: the name of the fastest kernel for this device type, type, size and need."""
    if device == "meta":
        return "explicit"  # nothing runs there, and a counter of operations sees both products
    if device != "cpu":
        return "fused"
    if dtype in (torch.bfloat16, torch.float16):
        # The fused kernel's backward takes 3 to 6 times as long at 65 and 197 tokens, its forward 1.5 times;
        # from some 500 tokens on, writing the map costs more.
        return "explicit" if tokens <= 512 else "fused"
    # Its products over few channels are slow: padded, they take 0.5 to 0.9 of the time. Not worth a copy for
    # few tokens without gradients.
    return "padded" if head_width < PADDED_TO and (gradients or tokens > 128) else "fused"


def attention_map(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    bias: Float[Tensor, "#batch #heads tokens tokens"] | None = None,
) -> Float[Tensor, "batch heads tokens tokens"]:
    """softmax(q · kᵀ / √head_width + bias); the scale is applied to q, which is smaller than the map."""
    scores = q * (1.0 / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)
    return (scores if bias is None else scores + bias).softmax(dim=-1)


def explicit(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens value_width"],
    bias: Float[Tensor, "#batch #heads tokens tokens"] | None,
    dropout: float,
) -> Float[Tensor, "batch heads tokens value_width"]:
    """The product spelled out."""
    return F.dropout(attention_map(q, k, bias), dropout, dropout > 0.0) @ v


def fused(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens value_width"],
    bias: Float[Tensor, "#batch #heads tokens tokens"] | None,
    dropout: float,
) -> Float[Tensor, "batch heads tokens value_width"]:
    """torch's own kernel."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=in_type(bias, q), dropout_p=dropout)


PADDED_TO = 16


def padded(
    q: Float[Tensor, "batch heads tokens head_width"],
    k: Float[Tensor, "batch heads tokens head_width"],
    v: Float[Tensor, "batch heads tokens value_width"],
    bias: Float[Tensor, "#batch #heads tokens tokens"] | None,
    dropout: float,
) -> Float[Tensor, "batch heads tokens value_width"]:
    """torch's own kernel on heads as wide as the next multiple of 16."""
    width = q.shape[-1]
    q, k, wide = (F.pad(each, (0, -each.shape[-1] % PADDED_TO)) for each in (q, k, v))
    mixed = F.scaled_dot_product_attention(
        q, k, wide, attn_mask=in_type(bias, q), dropout_p=dropout, scale=1.0 / math.sqrt(width)
    )
    return mixed[..., : v.shape[-1]]


def in_type(bias: Tensor | None, q: Tensor) -> Tensor | None:
    """The bias in the type of the queries, which is what torch's kernel takes under autocast."""
    return bias if bias is None else bias.to(q.dtype)


KERNELS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor]] = {
    "fused": fused,
    "padded": padded,
    "explicit": explicit,
}
