"""PSViT: tokens are pooled on the way, and layers share their neighbour's attention map.

Chen et al., "PSViT: Better Vision Transformer via Token Pooling and Attention Sharing", arXiv 2108.03428.
There is no public code, and only the abstract could be had: **every model here is ours in the paper's
style**, none a reproduction, and the paper's numbers are not ours to claim. docs/papers/psvit.md lists what
is known and what we decided. All that is neither pooling nor sharing is DeiT.

    gene   layer
    N      Block((Mix(Attention(heads)), FeedForward(ratio)))                  attention of its own
    S      Block((Mix(SharedAttention(heads)), FeedForward(ratio)))            the map of the layer before
    P      Block((pool, Mix(Attention(heads)), FeedForward(ratio)))            fewer tokens, then as N

`genes` has one letter for each layer. An S uses the map of the nearest N or P before it, which then
`lends=True`. Each P begins a stage with a width and a number of heads of its own. PSViT-2D pools with
`GridPool`, has no class token and ends in the mean of its tokens; PSViT-1D pools with `LinePool` and keeps a
class token, which stands in no window. A PSViT-1D of N alone is DeiT.
"""

from collections.abc import Sequence
from dataclasses import fields

from vitreous.errors import ConfigError
from vitreous.models.entry import OURS, Entry
from vitreous.models.init import PSViTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ClassToken,
    ClassTokenHead,
    Description,
    FeedForward,
    GridPool,
    ImageShape,
    LearnedTable,
    LinePool,
    MeanHead,
    Mix,
    NoPrefix,
    Normalize,
    Part,
    PatchStem,
    SharedAttention,
)

OWN, SHARE, POOL = "NSP"

# Made by hand: the genes that the paper's search found are not known to us.
ONE, TWO = {"genes": "NSNSPSNSPSNS"}, {"genes": "NSPSNSNSPSNS"}
SMALL_IMAGE = {"genes": "NSPSPS", "patch": 4}
SIZES_1D: dict[str, dict[str, object]] = {
    "tiny": {**ONE, "dims": (192, 320, 384), "heads": (3, 5, 6)},
    "small": {**ONE, "dims": (384, 576, 768), "heads": (6, 9, 12)},
    "base": {**ONE, "dims": (768, 1152, 1536), "heads": (12, 18, 24)},
    "tiny_p8": {**TWO, "patch": 8, "dims": (96, 128, 192), "heads": (3, 4, 6)},
    "small_p8": {**TWO, "patch": 8, "dims": (192, 256, 384), "heads": (3, 4, 6)},
    "small_image": {**SMALL_IMAGE, "dims": (64, 96, 128), "heads": (2, 3, 4)},
}
SIZES_2D: dict[str, dict[str, object]] = {
    "tiny": {**TWO, "dims": (96, 192, 384), "heads": (3, 6, 12)},
    "small": {**TWO, "dims": (192, 384, 768), "heads": (3, 6, 12)},
    "base": {**TWO, "dims": (384, 768, 1536), "heads": (6, 12, 24)},
    # DeiT's patches, width and heads to begin with: beside DeiT, only pooling and sharing differ.
    "tiny_p16": {"genes": "NSNSPSNSNSPS", "patch": 16, "dims": (192, 384, 768), "heads": (3, 6, 12)},
    "small_p16": {"genes": "NSNSPSNSNSPS", "patch": 16, "dims": (384, 768, 1536), "heads": (6, 12, 24)},
    "small_image": {**SMALL_IMAGE, "dims": (64, 128, 256), "heads": (2, 4, 8)},
    # As deep as the sizes for 224 px, so that its space is as large; below 30 M MACs.
    "small_image_12": {**TWO, "patch": 4, "dims": (48, 96, 192), "heads": (2, 4, 8)},
}


def psvit_1d(
    *,
    image: ImageShape,
    classes: int,
    genes: str,
    dims: tuple[int, ...],
    heads: tuple[int, ...],
    patch: int = 16,
    ratio: float = 4,
    window: int = 2,
    average: bool = False,
    norm_before_pool: bool = False,
    position_after_pool: bool = False,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A vision transformer that pools along the line of its tokens.

    Args:
        image: channels, height and width; the sides are multiples of `patch`.
        classes: number of logits.
        genes: one letter for each layer: N, S or P.
        dims, heads: channels of a token, and attention heads, in each stage: one more than there are P.
        patch: side of a patch in pixels.
        ratio: inner width of the feed-forward branch over the width.
        window: how many tokens become one.
        average: True for their mean instead of their maximum.
        norm_before_pool: True for a layer normalisation of the tokens before each pool.
        position_after_pool: True for one more learned position table after each pool; it starts at zero.
        name, source: what listings show.

    Raises:
        ConfigError: genes that no model has, or dims or heads for another number of stages.
    """
    check_genes(genes, dims, heads)
    pools = [LinePool(width, window, average) for width in dims[1:]]
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, dims[0]),
        prefix=ClassToken(),
        position=AddPosition(LearnedTable()),
        layers=_layers(genes, heads, ratio, _with(pools, norm_before_pool, position_after_pool)),
        head=ClassTokenHead(classes),
        init=PSViTInit(),
    )


def psvit_2d(
    *,
    image: ImageShape,
    classes: int,
    genes: str,
    dims: tuple[int, ...],
    heads: tuple[int, ...],
    patch: int = 8,
    ratio: float = 4,
    kernel: int = 3,
    depthwise: bool = False,
    norm_before_pool: bool = False,
    position_after_pool: bool = False,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A vision transformer that pools on the grid of its tokens, both sides by two.

    Args:
        image: channels, height and width; the sides are multiples of `patch`.
        classes: number of logits.
        genes: one letter for each layer: N, S or P.
        dims, heads: channels of a token, and attention heads, in each stage: one more than there are P.
        patch: side of a patch in pixels.
        ratio: inner width of the feed-forward branch over the width.
        kernel: side of the pooling convolution, odd.
        depthwise: True for a depthwise one, as in PiT; each width is then a multiple of the one before.
        norm_before_pool: True for a layer normalisation of the tokens before each pool, as in ViT-ResNAS.
        position_after_pool: True for one more learned position table after each pool; it starts at zero.
        name, source: what listings show.

    Raises:
        ConfigError: genes that no model has, or dims or heads for another number of stages.
    """
    check_genes(genes, dims, heads)
    pools = [GridPool(width, kernel, depthwise=depthwise) for width in dims[1:]]
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, dims[0]),
        prefix=NoPrefix(),
        position=AddPosition(LearnedTable()),
        layers=_layers(genes, heads, ratio, _with(pools, norm_before_pool, position_after_pool)),
        head=MeanHead(classes),
        init=PSViTInit(),
    )


def check_genes(genes: str, dims: tuple[int, ...], heads: tuple[int, ...]) -> None:
    """Raises ConfigError where no model has these genes, or dims and heads are for other stages."""
    told = f"PSViT: the genes are {genes!r}"
    if not genes or set(genes) - {OWN, SHARE, POOL}:
        raise ConfigError(f"{told}; each layer is one letter of N, S and P, as in 'NSPSPS'")
    if genes[0] == SHARE:
        raise ConfigError(f"{told}; the first layer has none before it to share with; it is N")
    if genes[0] == POOL:
        raise ConfigError(f"{told}; a pool before the first layer is a larger patch; the first layer is N")
    stages = genes.count(POOL) + 1
    if len(dims) != stages or len(heads) != stages:
        raise ConfigError(
            f"{told}, {stages - 1} times P and so {stages} stages; dims are for {len(dims)} and heads for "
            f"{len(heads)}; one of each for every stage works"
        )


def genes_of(config: VisionTransformer) -> str:
    """The genes of any model, its own or not: a letter for each layer that attends, P where a pool precedes.

    `psvit_1d(genes=genes, …)` has these genes; a DeiT has N alone.
    """
    genes, pooled = "", False
    for layer in config.layers:
        pooled = pooled or _holds(layer, (GridPool, LinePool))
        if _holds(layer, (SharedAttention,)):
            genes += SHARE
        elif _holds(layer, (Attention,)):
            genes += POOL if pooled else OWN
            pooled = False
    return genes


def _layers(
    genes: str, heads: tuple[int, ...], ratio: float, pools: Sequence[tuple[Part, ...]]
) -> tuple[Part, ...]:
    """One block a gene; who is followed by an S lends."""
    layers, stage = [], 0
    for gene, following in zip(genes, [*genes[1:], None], strict=True):
        if gene == SHARE:
            layers.append(Block((Mix(SharedAttention(heads[stage])), FeedForward(ratio))))
            continue
        before: tuple[Part, ...] = ()
        if gene == POOL:
            before, stage = pools[stage], stage + 1
        attention = Attention(heads[stage], lends=following == SHARE)
        layers.append(Block((*before, Mix(attention), FeedForward(ratio))))
    return tuple(layers)


def _with(pools: Sequence[Part], norm: bool, position: bool) -> list[tuple[Part, ...]]:
    """Each pool with what stands before and after it."""
    before = (Normalize(),) if norm else ()
    after = (AddPosition(LearnedTable()),) if position else ()
    return [(*before, pool, *after) for pool in pools]


def _holds(value: object, kinds: tuple[type[Description], ...]) -> bool:
    """Whether a description of one of these kinds is in it, at any depth: mixers stand inside mixers."""
    if isinstance(value, kinds):
        return True
    inner = [getattr(value, each.name) for each in fields(value)] if isinstance(value, Description) else ()
    return any(_holds(each, kinds) for each in (value if isinstance(value, tuple) else inner))


PAPER = "PSViT, arXiv 2108.03428"
ENTRIES = {
    f"psvit_{kind}_{size}": Entry(family, numbers, 32 if size.startswith("small_image") else 224, OURS, PAPER)
    for kind, family, sizes in (("1d", psvit_1d, SIZES_1D), ("2d", psvit_2d, SIZES_2D))
    for size, numbers in sizes.items()
}
