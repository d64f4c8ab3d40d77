"""Hooks on timm's vision transformers and mixers (Wightman, pytorch-image-models).

    VisionTransformer, VisionTransformerDistilled    blocks `Block` or `ResPostBlock` with `Attention`
    MlpMixer                                         blocks `MixerBlock` or `ResBlock`: no attention

Queries and keys are taken after timm's norm of them, and a mask, where the caller gives one, is added as
timm adds it. Any other class, block or attention (differential, rotary, parallel …) is refused by its name.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.analysis.seen import BLOCK, EMBEDDING, INPUT, MIXED, AttentionMap, Features
from vitreous.errors import ConfigError


def attach(
    model: nn.Module,
    see_features: Callable[[Features], None] | None,
    see_map: Callable[[AttentionMap], None] | None,
    kinds: tuple[str, ...],
    hooks: list[Callable[[], None]],
) -> list[str]:
    """Add hooks, and to `hooks` how each is removed; returns sentences about what the model has not.

    Raises:
        ConfigError: a model, a block or an attention that is not known here.
    """
    with_attention = check_known(model)
    grid = grid_of(model)
    prefix = int(getattr(model, "num_prefix_tokens", 0))

    def features(name: str, number: int, kind: str, x: Tensor) -> None:
        if see_features is not None and kind in kinds:
            see_features(
                Features(
                    name=name, layer=number, turn=0, kind=kind, x=x.detach(),
                    grid=fitting(grid, x.shape[1] - prefix), prefix=prefix,
                )
            )  # fmt: skip

    def watch(name: str, number: int, kind: str) -> Callable[..., None]:
        return lambda module, inputs, out: features(name, number, kind, out)

    blocks: Any = model.blocks
    for first in blocks[:1]:
        hooks.append(
            first.register_forward_pre_hook(
                lambda module, inputs: features(EMBEDDING, -1, BLOCK, inputs[0])
            ).remove
        )
    for number, block in enumerate(blocks):
        name = f"blocks.{number}"
        hooks.append(block.register_forward_hook(watch(name, number, BLOCK)).remove)
        if INPUT in kinds:
            hooks.append(block.norm1.register_forward_hook(watch(name, number, INPUT)).remove)
        if with_attention:
            hooks.append(block.attn.register_forward_hook(watch(name, number, MIXED)).remove)
            if see_map is not None:
                _hook_attention(block.attn, name, number, grid, prefix, see_map, hooks)
        elif MIXED in kinds:
            mixer = block.mlp_tokens if hasattr(block, "mlp_tokens") else block.linear_tokens
            hooks.append(
                mixer.register_forward_hook(
                    lambda module, inputs, out, name=name, number=number: features(
                        name, number, MIXED, out.transpose(1, 2)
                    )
                ).remove
            )
    if see_map is not None and not with_attention:
        return ["no layer has attention, so there are no maps"]
    return []


def check_known(model: nn.Module) -> bool:
    """Whether the model has attention.

    Raises:
        ConfigError: it is no model that is known here.
    """
    kind = type(model).__name__
    if not type(model).__module__.startswith("timm."):
        raise _unknown(f"{kind} of {type(model).__module__}")
    from timm.layers.attention import Attention
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.mlp_mixer import MixerBlock, MlpMixer, ResBlock
    from timm.models.vision_transformer import Block, ResPostBlock, VisionTransformer

    if type(model) is MlpMixer:
        known: tuple[type, ...] = (MixerBlock, ResBlock)
    elif type(model) in (VisionTransformer, VisionTransformerDistilled):
        known = (Block, ResPostBlock)
    else:
        raise _unknown(f"timm's {kind}")
    blocks: Any = model.blocks
    for block in blocks:
        if type(block) not in known:
            raise _unknown(f"timm's {kind} with blocks of {type(block).__name__}")
        if known[0] is Block and type(block.attn) is not Attention:
            raise _unknown(f"timm's {kind} with {type(block.attn).__name__}")
    return known[0] is Block


def grid_of(model: nn.Module) -> tuple[int, int] | None:
    """Rows and columns of the patches, as the model was built."""
    stem: Any = getattr(model, "patch_embed", None) or getattr(model, "stem", None)
    grid = getattr(stem, "grid_size", None)
    return None if grid is None else (int(grid[0]), int(grid[1]))


def fitting(grid: tuple[int, int] | None, patches: int) -> tuple[int, int] | None:
    """The grid, if so many patches fill it; a square one for images of another size; else None."""
    if grid is not None and grid[0] * grid[1] == patches:
        return grid
    side = math.isqrt(patches)
    return (side, side) if side * side == patches and grid is not None and grid[0] == grid[1] else None


def _hook_attention(
    attention: Any,
    name: str,
    number: int,
    grid: tuple[int, int] | None,
    prefix: int,
    see_map: Callable[[AttentionMap], None],
    hooks: list[Callable[[], None]],
) -> None:
    kept: dict[str, Any] = {}

    def begin(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        positional = dict(zip(("x", "attn_mask", "is_causal"), inputs, strict=False))
        kept.update({"attn_mask": None, "is_causal": False} | positional | named)

    def end(*_: Any) -> None:
        q, k = kept.pop("q").detach(), kept.pop("k").detach()
        with torch.no_grad():
            scores = q * attention.scale @ k.transpose(-2, -1)
            mask = kept["attn_mask"]
            if kept["is_causal"]:
                scores = scores + torch.full_like(scores[0, 0], float("-inf")).triu(1)
            elif mask is not None and mask.dtype == torch.bool:
                scores = scores.masked_fill(~mask, float("-inf"))
            elif mask is not None:
                scores = scores + mask.detach()
            weights = scores.softmax(dim=-1)
        kept.clear()
        length = weights.shape[-1]
        see_map(
            AttentionMap(
                name=name, layer=number, turn=0, weights=weights[:, None],
                members=torch.arange(length, device=weights.device)[None], tokens=length,
                grid=fitting(grid, length - prefix), prefix=prefix,
            )
        )  # fmt: skip

    hooks.append(attention.register_forward_pre_hook(begin, with_kwargs=True).remove)
    for which in ("q", "k"):
        norm: nn.Module = getattr(attention, f"{which}_norm")
        hooks.append(
            norm.register_forward_hook(
                lambda module, inputs, out, which=which: kept.__setitem__(which, out)
            ).remove
        )
    hooks.append(attention.register_forward_hook(end).remove)


def _unknown(what: str) -> ConfigError:
    return ConfigError(
        f"{what}: an architecture that cannot be looked into; every model of `vitreous models list` can, and "
        "timm's VisionTransformer (vit_…, deit_…) and MlpMixer (mixer_…, resmlp_…)"
    )
