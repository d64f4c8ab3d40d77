"""T2T-ViT: tokens made of overlapping windows in steps, then a plain vision transformer on a fixed position.

Yuan et al., "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet", arXiv 2101.11986;
released code yitu-opensource/T2T-ViT, commit 0f63dc9, `models/t2t_vit.py`. It is none of the five papers: it
is here as LaPE's host with a sinusoid (ICCV 2023, table 1).

    paper                    here
    tokens-to-token module   TokenToToken(width): soft splits of 7, 3 and 3, performers of 64 channels between
    position                 Sinusoid1D(), the class token counted, never trained
    backbone                 Block((Mix(Attention(heads, qkv_bias=False)), FeedForward(ratio)))

Equal to the released module with weights renamed by `authors_names`. The scores' scale is head_width^−½, as
in the released constructors and in their evaluation by file; only their `pretrained` switch, for which no
address is given, makes it width^−½. That all released checkpoints were trained with the former is UNVERIFIED;
for the latter, the queries' third of each `qkv.weight` times √(head_width / width) makes them equal.
Deviations are `parts/token_to_token.py`'s.
"""

from vitreous.models.deit import END_NAMES, block_names
from vitreous.models.entry import AUTHORS, Entry
from vitreous.models.init import DeiTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ClassToken,
    ClassTokenHead,
    FeedForward,
    ImageShape,
    LayerNorm,
    Mix,
    Sinusoid1D,
    TokenToToken,
)

SIZES: dict[str, dict[str, int]] = {
    "7": {"width": 256, "depth": 7, "heads": 4, "ratio": 2},
    "10": {"width": 256, "depth": 10, "heads": 4, "ratio": 2},
    "12": {"width": 256, "depth": 12, "heads": 4, "ratio": 2},
    "14": {"width": 384, "depth": 14, "heads": 6, "ratio": 3},
    "19": {"width": 448, "depth": 19, "heads": 7, "ratio": 3},
    "24": {"width": 512, "depth": 24, "heads": 8, "ratio": 3},
}
NORM = LayerNorm(1e-5)


def t2t_vit(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    heads: int,
    ratio: float = 2,
    inner: int = 64,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A T2T-ViT with performers, of any size.

    Args:
        image: channels, height and width; one token stands for 16×16 pixels.
        classes: number of logits.
        width: channels of a token.
        depth: number of layers.
        heads: attention heads in each layer.
        ratio: inner width of the feed-forward branch over `width`.
        inner: channels inside the performers, which have half as many random features.
        name, source: what listings show.
    """
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=TokenToToken(width, inner=inner, features=max(1, inner // 2)),
        prefix=ClassToken(),
        position=AddPosition(Sinusoid1D()),
        layers=(Block((Mix(Attention(heads, qkv_bias=False), norm=NORM), FeedForward(ratio, norm=NORM))),)
        * depth,
        head=ClassTokenHead(classes, norm=NORM),
        init=DeiTInit(),
    )


def authors_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(the released code's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [("tokens_to_token.project.", "stem.project."), *END_NAMES]
    for number in range(2):
        theirs, ours = f"tokens_to_token.attention{number + 1}.", f"stem.performers.{number}."
        pairs += [
            (f"{theirs}w", f"{ours}features"),
            (f"{theirs}norm1.", f"{ours}norm1."),
            (f"{theirs}kqv.", f"{ours}kqv."),
            (f"{theirs}proj.", f"{ours}project."),
            (f"{theirs}norm2.", f"{ours}norm2."),
            (f"{theirs}mlp.0.", f"{ours}widen."),
            (f"{theirs}mlp.2.", f"{ours}narrow."),
        ]
    for number in range(len(config.layers)):
        pairs += block_names(f"blocks.{number}.", f"layers.{number}.branches.")
    return tuple(pairs)


PAPER = "T2T-ViT, arXiv 2101.11986"
ENTRIES = {
    f"t2t_vit_{size}": Entry(t2t_vit, numbers, 224, AUTHORS, PAPER, (f"T2T-ViT-{size}",), names=authors_names)
    for size, numbers in SIZES.items()
}
