"""timm's vision transformers as ours: `timm:NAME`, weights included, proven equal on an image.

    timm's VisionTransformer with a class token, learned positions, pre-norm blocks and exact GELU
        → the config of `models/deit.py` at its sizes, weights renamed by `timm_names`

That is ViT, DeiT and AugReg. What our parts do not express (register tokens, layer scale, a norm of queries,
other pooling) leaves weights over or gives other logits, and is refused. The network is used only where
pretrained weights are asked for, by timm, and never while VITREOUS_OFFLINE is 1.
"""

import dataclasses
import os
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import Tensor, nn

from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, DataError, VerifyError, did_you_mean
from vitreous.interop.imagenet import crop_share
from vitreous.interop.rename import load_theirs
from vitreous.models.deit import deit, timm_names
from vitreous.models.vision_transformer import VisionTransformerModule, build
from vitreous.parts import Attention, Block, FeedForward, ImageShape, Mix

CLOSE = 1e-4  # largest difference of two logits, which are of the order of 1


def from_timm(name: str) -> tuple[VisionTransformerModule, Preprocessing]:
    """A pretrained model of timm as ours, and how its images are prepared.

    Args:
        name: timm's, with or without a tag: `deit_tiny_patch16_224`, `vit_tiny_patch16_224.augreg_in21k`.

    Raises:
        ConfigError: an unknown name, an architecture without a counterpart, or VITREOUS_OFFLINE is 1.
        DataError: the weights cannot be had.
    """
    check_name(name, f"timm:{name}")
    return as_ours(pretrained(name, f"timm:{name}", "a checkpoint file or a model folder"), name)


def check_name(name: str, said: str) -> None:
    """Raises ConfigError for a name that timm does not have; `said` is how the user spelled it."""
    if not timm.is_model(name):
        raise ConfigError(f"{said}: no model of timm{did_you_mean(name, timm.list_models())}")


def pretrained(name: str, said: str, instead: str) -> Any:
    """A model of timm with the weights that timm downloads, unless VITREOUS_OFFLINE is 1.

    Args:
        name: timm's.
        said: how the user spelled it.
        instead: what works without the network.

    Raises:
        ConfigError: VITREOUS_OFFLINE is 1.
        DataError: the weights cannot be had.
    """
    if os.environ.get("VITREOUS_OFFLINE") == "1":
        raise ConfigError(
            f"{said} needs the network for its weights while VITREOUS_OFFLINE is 1; unset it, or give "
            f"{instead}"
        )
    try:
        return timm.create_model(name, pretrained=True)
    except Exception as error:  # whatever the hub's client raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{said}: its weights cannot be had: {reason}") from error


def as_ours(theirs: nn.Module, name: str) -> tuple[VisionTransformerModule, Preprocessing]:
    """A model of timm as ours, with its weights, and how its images are prepared.

    Args:
        theirs: the model.
        name: what messages call it.

    Raises:
        ConfigError: an architecture that has no counterpart here.
    """
    if not isinstance(theirs, TimmViT) or not len(theirs.blocks):
        raise ConfigError(
            f"timm:{name} is a {type(theirs).__name__}, which has no counterpart here; timm's vision "
            "transformers such as vit_tiny_patch16_224 and deit_tiny_patch16_224 have one"
        )
    theirs.eval()
    block: Any = theirs.blocks[0]
    height, width = theirs.patch_embed.img_size
    patch, other = theirs.patch_embed.patch_size
    image = ImageShape(theirs.patch_embed.proj.in_channels, height, width)
    described = deit(
        image=image,
        classes=theirs.num_classes,
        width=theirs.embed_dim,
        depth=len(theirs.blocks),
        heads=block.attn.num_heads,
        patch=patch,
        name=name.partition(".")[0],
        source="timm",
    )
    layer = Block(
        (
            Mix(Attention(block.attn.num_heads, qkv_bias=block.attn.qkv.bias is not None)),
            FeedForward(block.mlp.fc1.out_features / theirs.embed_dim),
        )
    )
    described = dataclasses.replace(described, layers=(layer,) * len(theirs.blocks))
    with torch.random.fork_rng(devices=[]):  # the first weights are thrown away
        model = build(described).eval()
    try:
        if patch != other:
            raise VerifyError("patches that are not square")
        load_theirs(model, theirs.state_dict(), timm_names(described))
        difference = float((_logits(model, image) - _logits(theirs, image)).abs().max())
        if not difference < CLOSE:
            raise VerifyError(f"an image gives logits that differ by {difference:.1g}")
    except (ConfigError, VerifyError) as error:
        raise ConfigError(f"timm:{name} is built otherwise than our vision transformers: {error}") from error
    cfg: Any = theirs.pretrained_cfg
    prepared = Preprocessing(
        channels=image.channels,
        height=height,
        width=width,
        mean=tuple(cfg["mean"][: image.channels]),
        std=tuple(cfg["std"][: image.channels]),
        crop_share=crop_share(image),
    )
    return model, prepared


def _logits(model: nn.Module, image: ImageShape) -> Tensor:
    fixed = torch.Generator().manual_seed(0)
    noise = torch.randn(1, image.channels, image.height, image.width, generator=fixed)
    with torch.no_grad():
        logits: Tensor = model(noise)
    return logits
