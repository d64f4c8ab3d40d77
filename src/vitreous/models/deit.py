"""DeiT and the plain vision transformer: patches, class token, learned positions, equal pre-norm blocks.

Touvron et al., "Training data-efficient image transformers & distillation through attention", arXiv
2012.12877, table 1; the architecture is ViT's (Dosovitskiy et al., arXiv 2010.11929). New in the paper is
the recipe, and a second token that a teacher speaks to (`distilled`, section 4 there).

    paper               here
    N×N patches         PatchStem(patch)
    embedding D         width
    layers              depth
    heads               heads: always width / 64 in the named sizes
    distillation token  DistilledTokens, DistilledHead

Equal to timm's `VisionTransformer` (`deit_*_patch16_224`) and `VisionTransformerDistilled` with weights
renamed by `timm_names`. Deviation: the class token starts with a standard deviation of 0.02 as in DeiT's
release; timm today starts it at 1e-6.
"""

from dataclasses import replace

from vitreous.errors import ConfigError
from vitreous.models.entry import AUTHORS, Entry
from vitreous.models.init import DeiTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ClassToken,
    ClassTokenHead,
    DistilledHead,
    DistilledTokens,
    FeedForward,
    ImageShape,
    LearnedTable,
    Mix,
    PatchStem,
)

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 192, "depth": 12, "heads": 3},
    "small": {"width": 384, "depth": 12, "heads": 6},
    "base": {"width": 768, "depth": 12, "heads": 12},
}


def deit(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    heads: int,
    patch: int = 16,
    ratio: float = 4,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A plain vision transformer of any size.

    Args:
        image: channels, height and width; the sides are multiples of `patch`.
        classes: number of logits.
        width: channels of a token, a multiple of `heads`.
        depth: number of layers.
        heads: attention heads in each layer.
        patch: side of a patch in pixels.
        ratio: inner width of the feed-forward branch over `width`.
        name, source: what listings show.
    """
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, width),
        prefix=ClassToken(),
        position=AddPosition(LearnedTable()),
        layers=(Block((Mix(Attention(heads)), FeedForward(ratio))),) * depth,
        head=ClassTokenHead(classes),
        init=DeiTInit(),
    )


def distilled(config: VisionTransformer) -> VisionTransformer:
    """A model with a distillation token beside its class token, and a classifier for each.

    Args:
        config: a model with `ClassToken` and `ClassTokenHead`.

    Raises:
        ConfigError: another prefix or head.
    """
    head = config.head
    if config.prefix != ClassToken() or not isinstance(head, ClassTokenHead) or head.pre_logits:
        raise ConfigError(
            "distilled: a distillation token stands beside a ClassToken() read by a ClassTokenHead without "
            "pre_logits, and this model has none; hard distillation works with its one head too"
        )
    two = DistilledHead(head.classes, head.norm)
    return replace(config, name="", source="", prefix=DistilledTokens(), head=two)


# What stands around the blocks of a vision transformer in timm, and in code derived from it.
END_NAMES = (
    ("cls_token", "prefix.token"),
    ("pos_embed", "position.table.weight"),
    ("norm.", "head.norm."),
    ("head.", "head.classifier."),
)
DISTILLED_NAMES = (("dist_token", "prefix.distillation"), ("head_dist.", "head.classifier.distillation."))


def end_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """`END_NAMES`, and those of a distillation token where the model has one."""
    return END_NAMES + (DISTILLED_NAMES if isinstance(config.prefix, DistilledTokens) else ())


def block_names(
    theirs: str, ours: str, *, mix: int = 0, attention: str | None = None
) -> list[tuple[str, str]]:
    """(timm's name, ours) for one pre-norm block; code derived from timm has the same.

    Args:
        theirs: the block's name there, up to its dot.
        ours: the name of its branches here, up to the dot behind `branches`.
        mix: the place of the `Mix` among the branches; the feed-forward follows it.
        attention: where the attention's maps are here, up to a dot; None for the mixer itself.
    """
    attention = attention or f"{ours}{mix}.mixer."
    return [
        (f"{theirs}norm1.", f"{ours}{mix}.norm."),
        (f"{theirs}attn.qkv.", f"{attention}qkv."),
        (f"{theirs}attn.proj.", f"{attention}project."),
        (f"{theirs}norm2.", f"{ours}{mix + 1}.norm."),
        (f"{theirs}mlp.fc1.", f"{ours}{mix + 1}.widen."),
        (f"{theirs}mlp.fc2.", f"{ours}{mix + 1}.narrow."),
    ]


def timm_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(timm's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [("patch_embed.proj.", "stem.conv."), *end_names(config)]
    for number in range(len(config.layers)):
        pairs += block_names(f"blocks.{number}.", f"layers.{number}.branches.")
    return tuple(pairs)


PAPER = "DeiT, arXiv 2012.12877"
ENTRIES = {
    f"deit_{size}": Entry(deit, numbers, 224, AUTHORS, PAPER, (alias,), names=timm_names)
    for (size, numbers), alias in zip(SIZES.items(), ("DeiT-Ti", "DeiT-S", "DeiT-B"), strict=True)
} | {
    f"deit_{size}_distilled": Entry(
        deit, numbers, 224, AUTHORS, PAPER, (alias,), change=distilled, names=timm_names
    )
    for (size, numbers), alias in zip(SIZES.items(), ("DeiT-Ti⚗", "DeiT-S⚗", "DeiT-B⚗"), strict=True)
}
