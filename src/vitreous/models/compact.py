"""Compact transformers for small images: ViT-Lite, CVT and CCT.

Hassani et al., "Escaping the Big Data Paradigm with Compact Transformers", arXiv 2104.05704; released code
SHI-Labs/Compact-Transformers, commit cd11f09, `src/`.

    paper / code             here
    ViT-Lite-L/P             vit_lite: patches of P pixels, class token
    CVT-L/P                  cvt: patches of P pixels, sequence pooling instead of the class token
    CCT-L/PxC                cct: C convolutions of P×P pixels, each with a max pool; sequence pooling
    cct_7_3x1_32, …          cct_7_3x1 with the image size as an argument; …_sine: table=Sinusoid1D()

All have one block, in which the stream itself is normalised between the branches:

    x ← x + attention(norm(x))        without biases of q, k and v
    x ← norm(x)
    x ← x + W₂ · GELU(W₁ · x)         without a norm before it

All norms have ε = 1e-5. Deviations: none in the models. The released `cct_*_sine` and `cvt_*_sine` silently
build a learned table (the argument gets lost); here `table=Sinusoid1D()` is what it says, and equals what the
released classes do when given `positional_embedding="sine"` themselves.
"""

from vitreous.models.entry import AUTHORS, Entry
from vitreous.models.init import CompactInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ClassToken,
    ClassTokenHead,
    CompactStem,
    FeedForward,
    ImageShape,
    LayerNorm,
    LearnedTable,
    Mix,
    NoNorm,
    NoPosition,
    NoPrefix,
    Normalize,
    Part,
    PatchStem,
    SequencePoolHead,
    Table,
)

SIZES: dict[int, dict[str, int]] = {  # by the number of layers
    2: {"width": 128, "depth": 2, "heads": 2, "ratio": 1},
    4: {"width": 128, "depth": 4, "heads": 2, "ratio": 1},
    6: {"width": 256, "depth": 6, "heads": 4, "ratio": 2},
    7: {"width": 256, "depth": 7, "heads": 4, "ratio": 2},
    14: {"width": 384, "depth": 14, "heads": 6, "ratio": 3},
}
NORM = LayerNorm(1e-5)
TABLE = LearnedTable()


def vit_lite(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    heads: int,
    ratio: float,
    patch: int = 4,
    table: Table | None = TABLE,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A ViT-Lite of any size: patches and a class token.

    Args:
        image: channels, height and width; the sides are multiples of `patch`.
        classes: number of logits.
        width: channels of a token, a multiple of `heads`.
        depth: number of layers.
        heads: attention heads in each layer.
        ratio: inner width of the feed-forward branch over `width`.
        patch: side of a patch in pixels.
        table: the position table; None for none, and then the model also runs at other image sizes.
        name, source: what listings show.
    """
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, width),
        prefix=ClassToken(),
        position=position(table),
        layers=(block(heads, ratio),) * depth,
        head=ClassTokenHead(classes, norm=NORM),
        init=CompactInit(),
    )


def cvt(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    heads: int,
    ratio: float,
    patch: int = 4,
    table: Table | None = TABLE,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A compact vision transformer of any size: patches and sequence pooling; arguments as of `vit_lite`."""
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, width),
        prefix=NoPrefix(),
        position=position(table),
        layers=(block(heads, ratio),) * depth,
        head=SequencePoolHead(classes, norm=NORM),
        init=CompactInit(),
    )


def cct(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    heads: int,
    ratio: float,
    kernel: int = 3,
    convs: int = 1,
    stride: int | None = None,
    padding: int | None = None,
    table: Table | None = TABLE,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A compact convolutional transformer of any size: convolutions and sequence pooling.

    Args:
        image: channels, height and width.
        classes, width, depth, heads, ratio, table: as of `vit_lite`.
        kernel: of every convolution.
        convs: how many, each followed by a max pool that halves the sides.
        stride: of every convolution; None for the released code's ⌊kernel / 2⌋ − 1, at least 1.
        padding: of every convolution; None for the released code's ⌊kernel / 2⌋, at least 1.
        name, source: what listings show.
    """
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=CompactStem(
            kernel=kernel,
            stride=stride or max(1, kernel // 2 - 1),
            padding=padding or max(1, kernel // 2),
            width=width,
            convs=convs,
        ),
        prefix=NoPrefix(),
        position=position(table),
        layers=(block(heads, ratio),) * depth,
        head=SequencePoolHead(classes, norm=NORM),
        init=CompactInit(),
    )


def block(heads: int, ratio: float) -> Block:
    """The block of all three."""
    return Block(
        (
            Mix(Attention(heads, qkv_bias=False), norm=NORM),
            Normalize(NORM),
            FeedForward(ratio, norm=NoNorm()),
        )
    )


def position(table: Table | None) -> Part:
    """The table added, or none."""
    return NoPosition() if table is None else AddPosition(table)


def authors_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(the released code's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [
        ("classifier.class_emb", "prefix.token"),
        ("classifier.positional_emb", "position.table.weight"),
        ("classifier.norm.", "head.norm."),
        ("classifier.attention_pool.", "head.attention."),
        ("classifier.fc.", "head.classifier."),
    ]
    if isinstance(config.stem, CompactStem):
        pairs += [(f"tokenizer.conv_layers.{n}.0.", f"stem.convs.{n}.") for n in range(config.stem.convs)]
    else:
        pairs += [("tokenizer.conv_layers.0.0.", "stem.conv.")]
    for number in range(len(config.layers)):
        theirs, ours = f"classifier.blocks.{number}.", f"layers.{number}.branches."
        pairs += [
            (f"{theirs}pre_norm.", f"{ours}0.norm."),
            (f"{theirs}self_attn.qkv.", f"{ours}0.mixer.qkv."),
            (f"{theirs}self_attn.proj.", f"{ours}0.mixer.project."),
            (f"{theirs}norm1.", f"{ours}1.norm."),
            (f"{theirs}linear1.", f"{ours}2.widen."),
            (f"{theirs}linear2.", f"{ours}2.narrow."),
        ]
    return tuple(pairs)


PAPER = "Compact Transformers, arXiv 2104.05704"
PATCHED = (2, 4, 6, 7)  # layers of ViT-Lite and CVT, all of them with patches of 4 pixels
CONVOLVED = (  # layers, kernel, convolutions and image size of CCT
    (2, 3, 2, 32),
    (4, 3, 2, 32),
    (6, 3, 1, 32),
    (6, 3, 2, 32),
    (7, 3, 1, 32),
    (7, 3, 2, 32),
    (7, 7, 2, 224),
    (14, 7, 2, 224),
)
ENTRIES = {
    **{
        f"vit_lite_{depth}_4": Entry(
            vit_lite,
            SIZES[depth],
            32,
            AUTHORS,
            PAPER,
            (f"ViT-Lite-{depth}/4", f"vit_{depth}_4_32"),
            names=authors_names,
        )
        for depth in PATCHED
    },
    **{
        f"cvt_{depth}_4": Entry(
            cvt,
            SIZES[depth],
            32,
            AUTHORS,
            PAPER,
            (f"CVT-{depth}/4", f"cvt_{depth}_4_32"),
            names=authors_names,
        )
        for depth in PATCHED
    },
    **{
        f"cct_{depth}_{kernel}x{convs}": Entry(
            cct,
            {**SIZES[depth], "kernel": kernel, "convs": convs},
            size,
            AUTHORS,
            PAPER,
            (f"CCT-{depth}/{kernel}x{convs}", f"cct_{depth}_{kernel}x{convs}_{size}"),
            names=authors_names,
        )
        for depth, kernel, convs, size in CONVOLVED
    },
}
