"""MLP-Mixer: tokens mixed by a two-layer map over them, without class token and position table.

Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision", arXiv 2105.01601, table 1; released code
google-research/vision_transformer (JAX). Here as a host for the ideas of other papers: recursion on a model
without attention (SReT).

    paper                    here
    hidden width C           width
    layers                   depth
    MLP dimension D_S        token_hidden: along the tokens
    MLP dimension D_C        ratio · width: along the channels

The output biases over tokens do nothing: they shift all channels of a token alike, which every norm behind
takes out again. Their gradients are 0, elsewhere too.

Equal to timm's `MlpMixer` (`mixer_s16_224`, `mixer_b16_224`) with weights renamed by `timm_names`. Deviation:
weights start as DeiT's; the released code starts linear maps by LeCun's rule, and the classifier at 0.
"""

from typing import Any

from vitreous.models.entry import PAPER as FROM_PAPER
from vitreous.models.entry import Entry
from vitreous.models.init import DeiTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    Block,
    FeedForward,
    ImageShape,
    MeanHead,
    Mix,
    NoPosition,
    NoPrefix,
    PatchStem,
    TokenMLP,
)

SIZES: dict[str, dict[str, Any]] = {
    "small": {"patch": 16, "width": 512, "depth": 8, "token_hidden": 256},
    "base": {"patch": 16, "width": 768, "depth": 12, "token_hidden": 384},
}


def mlp_mixer(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    token_hidden: int,
    patch: int = 16,
    ratio: float = 4,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """An MLP-Mixer of any size.

    Args:
        image: channels, height and width, multiples of `patch`; the model takes this size alone.
        classes: number of logits.
        width: channels of a token.
        depth: number of layers.
        token_hidden: inner width of the maps over tokens.
        patch: side of a patch in pixels.
        ratio: inner width over `width` of the maps over channels.
        name, source: what listings show.
    """
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, width),
        prefix=NoPrefix(),
        position=NoPosition(),
        layers=(Block((Mix(TokenMLP(token_hidden)), FeedForward(ratio))),) * depth,
        head=MeanHead(classes),
        init=DeiTInit(),
    )


def timm_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(timm's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [("stem.proj.", "stem.conv."), ("norm.", "head.norm."), ("head.", "head.classifier.")]
    for number in range(len(config.layers)):
        theirs, ours = f"blocks.{number}.", f"layers.{number}.branches."
        pairs += [
            (f"{theirs}norm1.", f"{ours}0.norm."),
            (f"{theirs}mlp_tokens.fc1.", f"{ours}0.mixer.widen."),
            (f"{theirs}mlp_tokens.fc2.", f"{ours}0.mixer.narrow."),
            (f"{theirs}norm2.", f"{ours}1.norm."),
            (f"{theirs}mlp_channels.fc1.", f"{ours}1.widen."),
            (f"{theirs}mlp_channels.fc2.", f"{ours}1.narrow."),
        ]
    return tuple(pairs)


PAPER = "MLP-Mixer, arXiv 2105.01601"
ENTRIES = {
    "mlp_mixer_small": Entry(
        mlp_mixer, SIZES["small"], 224, FROM_PAPER, PAPER, ("Mixer-S/16",), names=timm_names
    ),
    "mlp_mixer_base": Entry(
        mlp_mixer, SIZES["base"], 224, FROM_PAPER, PAPER, ("Mixer-B/16",), names=timm_names
    ),
}
