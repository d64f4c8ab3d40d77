"""A few transformer blocks behind groups of convolutions, for small data sets and small machines.

Dosovitskiy et al. 2021 (ViT, arXiv 2010.11929, section 3.1) call a transformer on a CNN's features a hybrid;
Xiao et al. (arXiv 2106.14881) show that a few early convolutions make transformers learn sooner. These two
are **ours**, made for images of some 24 to 96 pixels, and combine that with SReT's recursion: the smaller one
applies its block twice. Zero padding of the convolutions says where a token stands, so there is no position
table.

    name          groups of convolutions   blocks × turns     parameters   million MACs at 32 px
    hybrid_1m     64, 128, 160             1 × 2, ratio 2     0.90 M       79.7
    hybrid_3m     64, 192, 256             2 × 1, ratio 4     3.12 M       141.9

Images whose tokens would stand in more than 6 × 6 places get one more, narrower group in front: at 64 pixels
that is a third of the multiplications.

How they were found, and what they reach: docs/speedrun.md.
"""

from typing import Any

from vitreous.models.entry import OURS, Entry
from vitreous.models.init import PSViTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    Attention,
    Block,
    ConvGroupStem,
    FeedForward,
    ImageShape,
    MeanHead,
    Mix,
    NoPosition,
    NoPrefix,
    Recursive,
)

MOST_A_SIDE = 6

SIZES: dict[str, dict[str, Any]] = {
    "1m": {"widths": (64, 128, 160), "heads": 5, "ratio": 2, "times": 2},
    "3m": {"widths": (64, 192, 256), "heads": 4, "ratio": 4, "blocks": 2},
}


def hybrid(
    *,
    image: ImageShape,
    classes: int,
    widths: tuple[int, ...],
    heads: int,
    first: int = 32,
    ratio: float = 4,
    blocks: int = 1,
    times: int = 1,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A hybrid of any size.

    Args:
        image: channels, height and width; each group of convolutions halves the sides, rounding up.
        classes: number of logits.
        widths: channels of each group of convolutions; the last are those of a token.
        heads: attention heads, a divisor of the last width.
        first: channels of the first convolution, at the size of the image, where no group is put in front.
        ratio: inner width of the feed-forward parts over the width of a token.
        blocks: transformer blocks with weights of their own.
        times: applications of each block.
        name, source: what listings show.
    """
    side = min(image.height, image.width)
    if side > MOST_A_SIDE * 2 ** len(widths):
        first, widths = first // 2, (first, *widths)
    block = Block((Mix(Attention(heads)), FeedForward(ratio)))
    layer = Recursive(block, times) if times > 1 else block
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=ConvGroupStem(first, widths),
        prefix=NoPrefix(),
        position=NoPosition(),
        layers=(layer,) * blocks,
        head=MeanHead(classes, norm_each=True),
        init=PSViTInit(0.05),
    )


AFTER = "hybrids arXiv 2010.11929, early convolutions arXiv 2106.14881, recursion arXiv 2111.05297"
ENTRIES = {f"hybrid_{size}": Entry(hybrid, numbers, 32, OURS, AFTER) for size, numbers in SIZES.items()}
