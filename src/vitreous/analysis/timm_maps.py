"""The map of each kind of timm's attention, computed beside whatever kernel it uses.

map = softmax(q · kᵀ · scale + bias)

Attention          q and k behind their norms; the caller's mask
AttentionRope,     the same, turned by place behind the norms, the prefix left out (Su et al., arXiv
EvaAttention       2104.09864); several heads of queries may have one head of keys
beit.Attention     a bias by relative position, the block's own (Bao et al., arXiv 2106.08254) or
                   shared by all
WindowAttention    a bias by relative position in the window, and the mask of shifted windows (Liu et al.,
                   arXiv 2103.14030)
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

See = Callable[[Tensor], None]
Kept = dict[str, Any]


def hook_map(attention: Any, see: See, hooks: list[Callable[[], None]]) -> None:
    """Call `see` with the map, (folded batch, heads, length, length), after each pass of an attention.

    Args:
        attention: of one of the classes above.
        see: is given it.
        hooks: is given how each hook is removed.
    """
    kept: Kept = {}
    scores = _scores_of(attention)

    def begin(module: nn.Module, inputs: tuple[Any, ...], named: Kept) -> None:
        given = signature(module.forward).bind(*inputs, **named)
        given.apply_defaults()
        kept.update(given.arguments)

    def keep(which: str) -> Callable[..., None]:
        return lambda module, inputs, out: kept.__setitem__(which, out.detach())

    def end(*_: Any) -> None:
        with torch.no_grad():
            weights = scores(attention, kept).softmax(dim=-1)
        kept.clear()
        see(weights)

    hooks.append(attention.register_forward_pre_hook(begin, with_kwargs=True).remove)
    for part in ("q_norm", "k_norm", "qkv"):
        if isinstance(getattr(attention, part, None), nn.Module):
            hooks.append(getattr(attention, part).register_forward_hook(keep(part)).remove)
    hooks.append(attention.register_forward_hook(end).remove)


def _scores_of(attention: nn.Module) -> Callable[[Any, Kept], Float[Tensor, "folded heads length length"]]:
    from timm.models.beit import Attention as BeitAttention
    from timm.models.swin_transformer import WindowAttention

    if isinstance(attention, BeitAttention):
        return _of_beit
    return _of_windows if isinstance(attention, WindowAttention) else _plain


def _plain(attention: Any, kept: Kept) -> Tensor:
    q, k = kept["q_norm"], kept["k_norm"]
    if kept.get("rope") is not None:
        q, k = (_turned(attention, each, kept["rope"].detach()) for each in (q, k))
    if k.shape[1] < q.shape[1]:
        k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores: Tensor = q * attention.scale @ k.transpose(-2, -1)
    mask: Tensor | None = kept["attn_mask"]
    if kept["is_causal"]:
        return scores + torch.full_like(scores[0, 0], float("-inf")).triu(1)
    if mask is None:
        return scores
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, float("-inf"))
    return scores + mask.detach()


def _turned(attention: Any, x: Tensor, rope: Tensor) -> Tensor:
    """Patches turned by their places; the prefix has none."""
    from timm.layers.pos_embed_sincos import apply_rot_embed_cat

    before, after = x.split((attention.num_prefix_tokens, x.shape[2] - attention.num_prefix_tokens), dim=2)
    half = bool(getattr(attention, "rotate_half", False))
    return torch.cat((before, apply_rot_embed_cat(after, rope, half=half).type_as(x)), dim=2)


def _of_beit(attention: Any, kept: Kept) -> Tensor:
    """timm multiplies by the weight of `qkv` without calling it, so queries and keys are computed again."""
    width = attention.qkv.weight.shape[0] // 3
    bias = None if attention.q_bias is None else torch.cat((attention.q_bias, attention.k_bias))
    both = F.linear(kept["x"], attention.qkv.weight[: 2 * width], bias)
    q, k = both.unflatten(2, (2, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    scores: Tensor = q * attention.scale @ k.transpose(-2, -1)
    if attention.relative_position_bias_table is not None:
        scores = scores + attention._get_rel_pos_bias()
    shared = kept["shared_rel_pos_bias"]
    return scores if shared is None else scores + shared


def _of_windows(attention: Any, kept: Kept) -> Tensor:
    qkv = kept["qkv"].unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    scores: Tensor = qkv[0] * attention.scale @ qkv[1].transpose(-2, -1) + attention._get_rel_pos_bias()
    mask = kept["mask"]
    if mask is None:
        return scores
    masked: Tensor = scores.unflatten(0, (-1, len(mask))) + mask[None, :, None]
    return masked.flatten(0, 1)
