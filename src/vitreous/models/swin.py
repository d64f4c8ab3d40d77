"""Swin: attention inside windows, shifted in every other layer, on a grid that halves from stage to stage.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", arXiv 2103.14030;
released code microsoft/Swin-Transformer, `models/swin_transformer.py`. It is none of the five papers: it is
here as a host, for LaPE (ICCV 2023, table 1) and for recursion and slices inside windows.

    paper                     here
    patch partition, linear   PatchStem(4, C, norm=LayerNorm(1e-5))
    W-MSA, SW-MSA             Windows(Attention(h, relative=RelativePosition()), M, shift = 0 or ⌊M/2⌋)
    patch merging             MergePatches(2 · width), before each stage but the first
    C, M                      width, window
    layer numbers             depths, one number a stage; even in the named sizes

Equal to timm's `SwinTransformer` and torchvision's `swin_t` with weights renamed by `timm_names` and
`torchvision_names`. Deviation: a grid that windows do not divide is refused, where timm and torchvision fill
it with zeros.
"""

from vitreous.errors import ConfigError
from vitreous.models.deit import block_names
from vitreous.models.entry import AUTHORS, Entry
from vitreous.models.init import SwinInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    Attention,
    Block,
    FeedForward,
    ImageShape,
    LayerNorm,
    MeanHead,
    MergePatches,
    Mix,
    NoPosition,
    NoPrefix,
    Part,
    PatchStem,
    RelativePosition,
    Windows,
)

SIZES: dict[str, dict[str, int | tuple[int, ...]]] = {
    "tiny": {"width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24)},
    "small": {"width": 96, "depths": (2, 2, 18, 2), "heads": (3, 6, 12, 24)},
    "base": {"width": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32)},
}
NORM = LayerNorm(1e-5)


def swin(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    window: int = 7,
    patch: int = 4,
    ratio: float = 4,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A Swin of any size.

    Args:
        image: channels, height and width; the windows divide every stage's grid.
        classes: number of logits.
        width: channels of a token in the first stage; each stage doubles them.
        depths: number of layers in each stage.
        heads: attention heads in each stage.
        window: side of a window in tokens; a stage with a smaller grid is one window.
        patch: side of a patch in pixels.
        ratio: inner width of the feed-forward branch over the width.
        name, source: what listings show.
    """
    if len(depths) != len(heads):
        raise ConfigError(
            f"swin: depths {depths} and heads {heads} are not of the same stages; give one of each a stage"
        )
    layers: list[Part] = []
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        if stage:
            layers.append(MergePatches(width << stage, norm=NORM))
        for number in range(depth):
            attention = Attention(count, relative=RelativePosition())
            windows = Windows(attention, window, shift=window // 2 if number % 2 else 0)
            layers.append(Block((Mix(windows, norm=NORM), FeedForward(ratio, norm=NORM))))
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, width, norm=NORM),
        prefix=NoPrefix(),
        position=NoPosition(),
        layers=tuple(layers),
        head=MeanHead(classes, norm=NORM),
        init=SwinInit(),
    )


def timm_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(timm's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    return (*_names(config, merging_before=True), ("head.fc.", "head.classifier."))


def authors_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(the released code's name, ours): merging ends a stage there, and begins the next in timm."""
    return (*_names(config, merging_before=False), ("head.", "head.classifier."))


def _names(config: VisionTransformer, *, merging_before: bool) -> list[tuple[str, str]]:
    pairs = [
        ("patch_embed.proj.", "stem.conv."),
        ("patch_embed.norm.", "stem.norm."),
        ("norm.", "head.norm."),
    ]
    stage = number = 0
    for place, layer in enumerate(config.layers):
        ours = f"layers.{place}."
        if isinstance(layer, MergePatches):
            merged = f"layers.{stage + merging_before}.downsample."
            pairs += [(f"{merged}norm.", f"{ours}norm."), (f"{merged}reduction.", f"{ours}reduce.")]
            stage, number = stage + 1, 0
            continue
        theirs, windows = f"layers.{stage}.blocks.{number}.", f"{ours}branches.0.mixer."
        pairs += block_names(theirs, f"{ours}branches.", attention=f"{windows}mixer.")
        pairs += [
            (f"{theirs}attn_mask", f"{windows}mask"),
            (f"{theirs}attn.relative_position_bias_table", f"{windows}mixer.relative.table"),
            (f"{theirs}attn.relative_position_index", f"{windows}mixer.relative.index"),
        ]
        number += 1
    return pairs


def torchvision_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(torchvision's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [
        ("features.0.0.", "stem.conv."),
        ("features.0.2.", "stem.norm."),
        ("norm.", "head.norm."),
        ("head.", "head.classifier."),
    ]
    stage, number = 1, 0
    for place, layer in enumerate(config.layers):
        ours = f"layers.{place}."
        if isinstance(layer, MergePatches):
            merged = f"features.{stage + 1}."
            pairs += [(f"{merged}norm.", f"{ours}norm."), (f"{merged}reduction.", f"{ours}reduce.")]
            stage, number = stage + 2, 0
            continue
        theirs, mix, feed = f"features.{stage}.{number}.", f"{ours}branches.0.", f"{ours}branches.1."
        pairs += [
            (f"{theirs}norm1.", f"{mix}norm."),
            (f"{theirs}attn.qkv.", f"{mix}mixer.mixer.qkv."),
            (f"{theirs}attn.proj.", f"{mix}mixer.mixer.project."),
            (f"{theirs}attn.relative_position_bias_table", f"{mix}mixer.mixer.relative.table"),
            (f"{theirs}attn.relative_position_index", f"{mix}mixer.mixer.relative.index"),
            (f"{theirs}norm2.", f"{feed}norm."),
            (f"{theirs}mlp.0.", f"{feed}widen."),
            (f"{theirs}mlp.3.", f"{feed}narrow."),
        ]
        number += 1
    return tuple(pairs)


PAPER = "Swin, arXiv 2103.14030"
ENTRIES = {
    f"swin_{size}": Entry(swin, numbers, 224, AUTHORS, PAPER, (alias,), names=authors_names)
    for (size, numbers), alias in zip(SIZES.items(), ("Swin-T", "Swin-S", "Swin-B"), strict=True)
}
