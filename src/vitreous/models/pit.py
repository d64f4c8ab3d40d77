"""PiT: a vision transformer with a class token whose grid is pooled twice, each time to twice the width.

Heo et al., "Rethinking Spatial Dimensions of Vision Transformers", arXiv 2103.16302; released code
naver-ai/pit, `pit.py`. It is none of the five papers: it is here as a host, since the class token has to
cross its pools.

    paper                  here
    overlapping patches    PatchStem(patch, width, stride)
    position embedding     AddPosition(GridTable(prefix=False)): the class token has none
    pooling layer          GridPool(2 · width, depthwise=True), which maps the class token by a linear map
    class token            ClassToken, read by ClassTokenHead
    heads                  heads of the first stage; each stage doubles heads and width

Equal to timm's `PoolingVisionTransformer` (`pit_*_224`) with weights renamed by `timm_names`; the distilled
variants with a second token are not here. Deviation: the recipe's dropout after the position acts on the
class token too, which the released code spares.
"""

from vitreous.models.deit import END_NAMES, block_names
from vitreous.models.entry import AUTHORS, Entry
from vitreous.models.init import PiTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ClassToken,
    ClassTokenHead,
    FeedForward,
    GridPool,
    GridTable,
    ImageShape,
    Mix,
    Part,
    PatchStem,
)

SIZES: dict[str, dict[str, int | tuple[int, ...]]] = {
    "tiny": {"patch": 16, "stride": 8, "width": 64, "depths": (2, 6, 4), "heads": 2},
    "xs": {"patch": 16, "stride": 8, "width": 96, "depths": (2, 6, 4), "heads": 2},
    "small": {"patch": 16, "stride": 8, "width": 144, "depths": (2, 6, 4), "heads": 3},
    "base": {"patch": 14, "stride": 7, "width": 256, "depths": (3, 6, 4), "heads": 4},
}


def pit(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depths: tuple[int, ...],
    heads: int,
    patch: int = 16,
    stride: int = 8,
    ratio: float = 4,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A PiT of any size.

    Args:
        image: channels, height and width; the sides are `patch` and a multiple of `stride`.
        classes: number of logits.
        width: channels of a token in the first stage; each stage doubles them.
        depths: number of layers in each stage.
        heads: attention heads in the first stage; each stage doubles them.
        patch: side of a patch in pixels.
        stride: pixels from one patch to the next.
        ratio: inner width of the feed-forward branch over the width.
        name, source: what listings show.
    """
    layers: list[Part] = []
    for stage, depth in enumerate(depths):
        if stage:
            layers.append(GridPool(width << stage, depthwise=True))
        layers += [Block((Mix(Attention(heads << stage)), FeedForward(ratio)))] * depth
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, width, stride),
        prefix=ClassToken(),
        position=AddPosition(GridTable(prefix=False)),
        layers=tuple(layers),
        head=ClassTokenHead(classes),
        init=PiTInit(),
    )


def timm_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(timm's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [("patch_embed.conv.", "stem.conv."), *END_NAMES]
    stage = number = 0
    for place, layer in enumerate(config.layers):
        ours = f"layers.{place}."
        if isinstance(layer, GridPool):
            stage, number = stage + 1, 0
            pool = f"transformers.{stage}.pool."
            pairs += [(f"{pool}conv.", f"{ours}conv."), (f"{pool}fc.", f"{ours}prefix.")]
            continue
        pairs += block_names(f"transformers.{stage}.blocks.{number}.", f"{ours}branches.")
        number += 1
    return tuple(pairs)


PAPER = "PiT, arXiv 2103.16302"
ENTRIES = {
    f"pit_{size}": Entry(pit, numbers, 224, AUTHORS, PAPER, (alias,), names=timm_names)
    for (size, numbers), alias in zip(SIZES.items(), ("PiT-Ti", "PiT-XS", "PiT-S", "PiT-B"), strict=True)
}
