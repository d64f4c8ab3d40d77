"""EIT: a vision transformer without a pyramid, with convolution at two places, more in shallow layers.

Xia et al., "EIT: Efficiently Lead Inductive Biases to ViT", arXiv 2203.07116; released code MrHaiPi/EIT,
commit 40539da, `eit_model.py`. New: overlapping patches from convolution and max pooling (EIT_P), and in
each layer a depthwise convolution beside the attention, on a share of the channels that falls with depth to
none (EIT_T).

    paper / code      here
    EIT_P k/s/p       ConvPoolStem(kernel, stride, pool)
    EIT_T             DepthwiseConv(3), the first slice of a ChannelSplit
    D, L, h           width, depth, heads
    a_l               attention_channels(l): the last slice of layer l

    a_l = h · ⌊⌊D/h⌋ · (l+1) / L⌋ for l < L−1,   a_{L−1} = D,   c_l = D − a_l

The number of heads is the same in every layer and the width of a head grows. Where a_l is 0 (only with more
layers than channels a head) the layer has no attention. Deviations: the position table, off by default, is
sized from the true grid (the released code sizes it from the stride and fails for 16/4/3); the plain patch
stem has a patch size of its own (the released code takes the pool's); pre-logits are off, as in the trained
models, though the released factories default to 768.
"""

from vitreous.models.deit import END_NAMES, block_names
from vitreous.models.entry import AUTHORS, OURS, Entry
from vitreous.models.init import EITInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ChannelSplit,
    ClassToken,
    ClassTokenHead,
    ConvPoolStem,
    DepthwiseConv,
    FeedForward,
    ImageShape,
    LearnedTable,
    Mix,
    Mixer,
    NoPosition,
    PatchStem,
    Stem,
)

STEM = {"kernel": 16, "stride": 4, "pool": 3}
SIZES: dict[str, dict[str, int]] = {
    "mini": {**STEM, "width": 250, "depth": 5, "heads": 10},
    "tiny": {**STEM, "width": 330, "depth": 8, "heads": 10},
    "base": {**STEM, "width": 400, "depth": 10, "heads": 16},
    "large": {**STEM, "width": 464, "depth": 12, "heads": 16},
    # The released class's own defaults; that they are the paper's small-image model is an inference.
    "small_image": {"kernel": 3, "stride": 1, "pool": 4, "width": 250, "depth": 5, "heads": 10},
    # Ours, for images of 8 to 16 pixels (4×4 to 8×8 tokens).
    "digits": {"kernel": 3, "stride": 1, "pool": 2, "width": 96, "depth": 5, "heads": 4},
}


def eit(
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
    eit_t: bool = True,
    position: bool = False,
    pre_logits: int | None = None,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """An EIT of any size.

    Args:
        image: channels, height and width; without a position table the model also runs at other sizes.
        classes: number of logits.
        width, depth, heads: D, L and h.
        kernel, stride, pool: k/s/p of EIT_P.
        patch: a plain stem of patches of this many pixels instead of EIT_P.
        eit_t: False for plain attention on all channels in every layer.
        position: True for a learned position table.
        pre_logits: channels of a linear map and tanh before the classifier, or None.
        name, source: what listings show.
    """
    shares = [attention_channels(layer, width, depth, heads) if eit_t else width for layer in range(depth)]
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=stem(width, kernel, stride, pool, patch),
        prefix=ClassToken(),
        position=AddPosition(LearnedTable()) if position else NoPosition(),
        layers=tuple(Block((Mix(_mixer(width, share, heads)), FeedForward(4))) for share in shares),
        head=ClassTokenHead(classes, pre_logits=pre_logits),
        init=EITInit(),
    )


def attention_channels(layer: int, width: int, depth: int, heads: int) -> int:
    """a_l: how many channels attend in this layer; the others go to the convolution."""
    return width if layer == depth - 1 else heads * (width // heads * (layer + 1) // depth)


def stem(width: int, kernel: int, stride: int, pool: int, patch: int | None) -> Stem:
    """EIT_P, or plain patches where a patch size is given."""
    return ConvPoolStem(kernel, stride, pool, width) if patch is None else PatchStem(patch, width)


def _mixer(width: int, attending: int, heads: int) -> Mixer:
    """The convolution first, the attention last."""
    if attending == width:
        return Attention(heads)
    if attending == 0:
        return DepthwiseConv(3)
    return ChannelSplit(((width - attending, DepthwiseConv(3)), (attending, Attention(heads))))


def authors_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(the released code's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [
        (
            "patch_embed.proj." if isinstance(config.stem, PatchStem) else "patch_embed.eit_p.conv.",
            "stem.conv.",
        ),
        ("pre_logits.fc.", "head.pre_logits."),
        *END_NAMES,
    ]
    for number, layer in enumerate(config.layers):
        theirs, ours = f"blocks.{number}.", f"layers.{number}.branches."
        match layer:
            case Block(branches=(Mix(mixer=ChannelSplit()), *_)):
                convolution, attention = f"{ours}0.mixer.mixers.0.", f"{ours}0.mixer.mixers.1."
            case _:
                convolution = attention = f"{ours}0.mixer."
        pairs += block_names(theirs, ours, attention=attention)
        pairs += [(f"{theirs}eit_t.conv1.", f"{convolution}conv.")]
    return tuple(pairs)


PAPER = "EIT, arXiv 2203.07116"
ENTRIES = {
    "eit_mini": Entry(eit, SIZES["mini"], 224, AUTHORS, PAPER, ("EIT16/4/3-Mini",), names=authors_names),
    "eit_tiny": Entry(eit, SIZES["tiny"], 224, AUTHORS, PAPER, ("EIT16/4/3-Tiny",), names=authors_names),
    "eit_base": Entry(eit, SIZES["base"], 224, AUTHORS, PAPER, ("EIT16/4/3-Base",), names=authors_names),
    "eit_large": Entry(eit, SIZES["large"], 224, AUTHORS, PAPER, ("EIT16/4/3-Large",), names=authors_names),
    "eit_small_image": Entry(eit, SIZES["small_image"], 32, OURS, PAPER, ("EIT3/1/4",), names=authors_names),
    "eit_digits": Entry(eit, SIZES["digits"], 8, OURS, PAPER),
    # The control: the small-image model with 4×4 patches, a position table and plain attention.
    "vit_small_image": Entry(
        eit, {**SIZES["small_image"], "patch": 4, "eit_t": False, "position": True}, 32, OURS, PAPER
    ),
}
