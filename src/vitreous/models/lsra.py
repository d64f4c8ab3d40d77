"""LSRA: every layer's channels divided between convolution and attention by one ratio. EIT's control.

Long-short range attention is Lite Transformer's (Wu et al., arXiv 2004.11886; released code mit-han-lab/
lite-transformer): two equal halves in every layer, attention first, a dynamic convolution last, on sequences
of words. EIT's paper studies a vision version of it that is not in its released code. **Ours**: EIT's block
with

    a = h · ⌊⌊D/h⌋ / 2⌋,   c = D − a     in all layers, the last one included

the same 3×3 depthwise convolution, feed-forward and stem, so that EIT and LSRA differ in the schedule alone.
The kind of convolution and the order of the slices are arguments, for who wants to come closer to Lite
Transformer.

The last layer's convolution never reaches the class token, which attends within the other slice: under a
class-token head its weights get no gradient. EIT's last layer has no convolution.
"""

from dataclasses import replace

from vitreous.models.eit import SIZES, eit
from vitreous.models.entry import OURS, Entry
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    Attention,
    Block,
    ChannelSplit,
    DepthwiseConv,
    FeedForward,
    ImageShape,
    Mix,
    Mixer,
)

__all__ = ["SIZES", "lsra"]


def lsra(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    heads: int,
    kernel: int,
    stride: int,
    pool: int,
    patch: int | None = None,
    convolution: Mixer = DepthwiseConv(3),
    attention_first: bool = False,
    position: bool = False,
    pre_logits: int | None = None,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """An LSRA vision transformer of any size.

    Args:
        image: channels, height and width; without a position table the model also runs at other sizes.
        classes: number of logits.
        width, depth, heads: D, L and h.
        kernel, stride, pool: k/s/p of the stem, which is EIT's.
        patch: a plain stem of patches of this many pixels instead.
        convolution: what the other channels go through.
        attention_first: True for Lite Transformer's order of the slices, False for EIT's.
        position: True for a learned position table.
        pre_logits: channels of a linear map and tanh before the classifier, or None.
        name, source: what listings show.
    """
    attending = heads * (width // heads // 2)
    slices = ((width - attending, convolution), (attending, Attention(heads)))
    mixer = ChannelSplit(slices[::-1] if attention_first else slices)
    like_eit = eit(
        image=image,
        classes=classes,
        width=width,
        depth=depth,
        heads=heads,
        kernel=kernel,
        stride=stride,
        pool=pool,
        patch=patch,
        position=position,
        pre_logits=pre_logits,
        name=name,
        source=source,
    )
    return replace(like_eit, layers=(Block((Mix(mixer), FeedForward(4))),) * depth)


PAPER = "Lite Transformer, arXiv 2004.11886; EIT, arXiv 2203.07116"
ENTRIES = {
    f"lsra_{size}": Entry(lsra, numbers, 32 if size == "small_image" else 224, OURS, PAPER)
    for size, numbers in SIZES.items()
    if size != "digits"
}
