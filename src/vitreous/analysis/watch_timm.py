"""Hooks on timm's vision transformers and mixers (Wightman, pytorch-image-models).

    VisionTransformer, VisionTransformerDistilled    blocks `Block` or `ResPostBlock`
    Beit                                             biases by relative position, each block's or shared
    Eva                                              queries and keys turned by place: EVA, RoPE-ViT, DINOv3
    SwinTransformer                                  stages of windows, every other one shifted
    MlpMixer                                         blocks `MixerBlock` or `ResBlock`: no attention

Which map each kind of attention computes is in `timm_maps.py`. Any other class, block or attention
(differential, parallel …) is refused by its name.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitreous.analysis.seen import BLOCK, EMBEDDING, INPUT, MIXED, AttentionMap, Features
from vitreous.analysis.timm_maps import hook_map
from vitreous.errors import ConfigError
from vitreous.parts.tokens import Tokens


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

    def features(name: str, number: int, kind: str, x: Tensor) -> None:
        if see_features is not None and kind in kinds:
            here = as_tokens(model, x.detach())
            see_features(
                Features(
                    name=name, layer=number, turn=0, kind=kind, x=here.x, grid=here.grid, prefix=here.prefix
                )
            )  # fmt: skip

    def enters(name: str, number: int, kind: str) -> Callable[..., None]:
        return lambda module, inputs: features(name, number, kind, inputs[0])

    def leaves(name: str, number: int, kind: str) -> Callable[..., None]:
        return lambda module, inputs, out: features(name, number, kind, out)

    for number, (name, block) in enumerate(blocks_of(model)):
        part: Any = block
        if number == 0:
            hooks.append(block.register_forward_pre_hook(enters(EMBEDDING, -1, BLOCK)).remove)
        hooks.append(block.register_forward_hook(leaves(name, number, BLOCK)).remove)
        if not with_attention:
            hooks.append(part.norm1.register_forward_hook(leaves(name, number, INPUT)).remove)
            mixer = part.mlp_tokens if hasattr(part, "mlp_tokens") else part.linear_tokens
            hooks.append(
                mixer.register_forward_hook(
                    lambda module, inputs, out, name=name, number=number: features(
                        name, number, MIXED, out.transpose(1, 2)
                    )
                ).remove
            )
        elif _in_windows(block):  # its attention is given windows: the grid is around it
            hooks.append(part.norm1.register_forward_hook(leaves(name, number, INPUT)).remove)
            hooks.append(part.drop_path1.register_forward_pre_hook(enters(name, number, MIXED)).remove)
        else:
            hooks.append(part.attn.register_forward_pre_hook(enters(name, number, INPUT)).remove)
            hooks.append(part.attn.register_forward_hook(leaves(name, number, MIXED)).remove)
        if with_attention and see_map is not None:
            _hook_map(model, block, name, number, see_map, hooks)
    if see_map is None:
        return []
    notes = [] if with_attention else ["no layer has attention, so there are no maps"]
    if getattr(model, "attn_pool", None) is not None:
        notes.append("the head pools by an attention of its own, whose map is not recorded")
    return notes


def check_known(model: nn.Module) -> bool:
    """Whether the model has attention.

    Raises:
        ConfigError: it is no model that is known here.
    """
    kind = type(model).__name__
    if not type(model).__module__.startswith("timm."):
        raise _unknown(f"{kind} of {type(model).__module__}")
    blocks = known_blocks().get(type(model))
    if blocks is None:
        raise _unknown(f"timm's {kind}")
    for _, block in _listed(model):
        if type(block) not in blocks:
            raise _unknown(f"timm's {kind} with blocks of {type(block).__name__}")
        attentions = blocks[type(block)]
        if attentions and type(block.attn) not in attentions:
            raise _unknown(f"timm's {kind} with {type(block.attn).__name__}")
    return any(blocks.values())


def known_blocks() -> dict[type, dict[type, tuple[type, ...]]]:
    """For each model the blocks that it may have, and for each block its attentions; none for mixers."""
    from timm.layers.attention import Attention, AttentionRope
    from timm.models import beit, eva
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.mlp_mixer import MixerBlock, MlpMixer, ResBlock
    from timm.models.swin_transformer import SwinTransformer, SwinTransformerBlock, WindowAttention
    from timm.models.vision_transformer import Block, ResPostBlock, VisionTransformer

    plain: dict[type, tuple[type, ...]] = {Block: (Attention,), ResPostBlock: (Attention,)}
    turned = (eva.EvaAttention, AttentionRope)
    return {
        VisionTransformer: plain,
        VisionTransformerDistilled: plain,
        beit.Beit: {beit.Block: (beit.Attention,)},
        eva.Eva: {eva.EvaBlock: turned, eva.EvaBlockPostNorm: turned},
        SwinTransformer: {SwinTransformerBlock: (WindowAttention,)},
        MlpMixer: {MixerBlock: (), ResBlock: ()},
    }


def blocks_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The blocks by name, in order; raises ConfigError as `check_known`."""
    check_known(model)
    return _listed(model)


def as_tokens(model: nn.Module, x: Tensor) -> Tokens:
    """What enters or leaves a block, (batch, tokens, width) or (batch, rows, columns, width)."""
    if x.ndim == 4:
        return Tokens(x.flatten(1, 2), (x.shape[1], x.shape[2]))
    prefix = int(getattr(model, "num_prefix_tokens", 0))
    return Tokens(x, fitting(grid_of(model), x.shape[1] - prefix), prefix)


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


def windows_of(
    name: str, grid: tuple[int, int], size: tuple[int, int], shift: tuple[int, int]
) -> Int[Tensor, "windows area"]:
    """The tokens that stand in each window of a Swin block.

    Raises:
        ConfigError: windows do not divide the grid: timm pads it, and a map would hold tokens that are none.
    """
    if grid[0] % size[0] or grid[1] % size[1]:
        raise ConfigError(
            f"{name}: {grid[0]}×{grid[1]} tokens do not divide into windows of {size[0]}×{size[1]}"
            ", so its maps would hold padding; an image size whose grids do works, and features alone "
            "(attention=False)"
        )
    numbers = torch.arange(grid[0] * grid[1]).view(grid).roll((-shift[0], -shift[1]), (0, 1))
    squares: Tensor = numbers.unflatten(1, (-1, size[1])).unflatten(0, (-1, size[0]))
    return squares.transpose(1, 2).reshape(-1, size[0] * size[1])


def _listed(model: nn.Module) -> list[tuple[str, Any]]:
    found: Any = model
    if hasattr(found, "blocks"):
        return [(f"blocks.{number}", block) for number, block in enumerate(found.blocks)]
    return [
        (f"layers.{stage}.blocks.{number}", block)
        for stage, layer in enumerate(found.layers)
        for number, block in enumerate(layer.blocks)
    ]


def _in_windows(block: nn.Module) -> bool:
    return hasattr(block, "window_size")


def _hook_map(
    model: nn.Module,
    block: Any,
    name: str,
    number: int,
    see_map: Callable[[AttentionMap], None],
    hooks: list[Callable[[], None]],
) -> None:
    """Hand the maps of a block's attention over, with where their tokens stand."""
    place: dict[str, Tokens] = {}

    def enter(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        place["here"] = as_tokens(model, inputs[0].detach()[:1])

    def see(folded: Float[Tensor, "folded heads length length"]) -> None:
        here = place.pop("here")
        tokens = here.x.shape[1]
        members = torch.arange(tokens)[None]
        if _in_windows(block):
            assert here.grid is not None
            members = windows_of(name, here.grid, tuple(block.window_size), tuple(block.shift_size))
        see_map(
            AttentionMap(
                name=name, layer=number, turn=0, weights=folded.unflatten(0, (-1, len(members))),
                members=members.to(folded.device), tokens=tokens, grid=here.grid, prefix=here.prefix,
            )
        )  # fmt: skip

    hooks.append(block.register_forward_pre_hook(enter).remove)
    hook_map(block.attn, see, hooks)


def _unknown(what: str) -> ConfigError:
    return ConfigError(
        f"{what}: an architecture that cannot be looked into; every model of `vitreous models list` can, and "
        "timm's VisionTransformer (vit_…, deit_…), Beit, Eva (eva02_…, vit_…_rope_…), SwinTransformer "
        "(swin_…) and MlpMixer (mixer_…, resmlp_…)"
    )
