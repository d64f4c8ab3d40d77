"""Naive recursion of any model, and networks of a hundred to a thousand applications with few weights.

Shen, Liu, Xing, "Sliced Recursive Transformer", ECCV 2022, arXiv 2111.05297. The abstract credits naive
recursion, each block applied twice with the same weights, with some 2 % top-1 and speaks of 100 to 1000 and
more shared layers at 13 to 15 M parameters. Which models these were is not in the abstract and not in the
released code, so **the sizes of `ENTRIES` are ours**: constructions that land in the claimed range. At a
thousand applications a projection (NLL) for each would alone take 75 M; there one stands in the block and is
shared by all its turns. Training at that depth wants `set_grad_checkpointing()`, which keeps one set of
tokens for each application.

    name                       blocks × turns                       projections     parameters
    sret_108                   12 × 9, 192 channels                 one a turn      13.8 M
    sret_108_one_projection    27 × 4, 192 channels                 one a block     14.4 M
    sret_120                   (4, 10, 6) × 6, SReT-T's pyramid     one a turn      13.8 M
    sret_1008                  28 × 36, 192 channels                one a block     14.9 M
"""

from dataclasses import replace

from vitreous.errors import ConfigError
from vitreous.models.deit import SIZES as DEIT
from vitreous.models.deit import deit
from vitreous.models.entry import OURS, Entry
from vitreous.models.sret import TINY, sret
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    Attention,
    Block,
    FeedForward,
    ImageShape,
    LearnedSum,
    Mix,
    Part,
    Recursive,
    TokenShape,
)


def recursive(config: VisionTransformer, times: int = 2, between: Part | None = None) -> VisionTransformer:
    """A model with every block applied several times in a row; other layers, such as pools, stay.

    A pool at the head of a block (PSViT) becomes a layer before it.

    Args:
        config: the model; without `between` its parameters stay what they are.
        times: applications of each block.
        between: a layer of its own after each application, such as SReT's projection
            `FeedForward(1, add=LearnedSum(), may_drop=False)`; None for none.

    Raises:
        ConfigError: no layer is a plain `Block`.
    """
    if not any(isinstance(layer, Block) for layer in config.layers):
        raise ConfigError("recursive: no layer is a plain Block that could be applied again")
    layers: list[Part] = []
    for layer, shape in zip(config.layers, config.shapes(), strict=False):
        if isinstance(layer, Block):
            pools = _pools(layer, shape)
            block = Block(layer.branches[pools:]) if pools else layer
            layers += [*layer.branches[:pools], Recursive(block, times, between)]
        else:
            layers.append(layer)
    return replace(config, name="", source="", layers=tuple(layers))


def _pools(block: Block, shape: TokenShape) -> int:
    """How many branches of a block stand up to the last that changes grid or width."""
    pools = 0
    for number, branch in enumerate(block.branches):
        before, shape = shape, branch.out_shape(shape)
        if (before.grid, before.tokens, before.width) != (shape.grid, shape.tokens, shape.width):
            pools = number + 1
    return pools


def extremely_deep(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    heads: int,
    blocks: int,
    times: int,
    one_projection: bool = False,
    patch: int = 16,
    ratio: float = 4,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A plain vision transformer of blocks × times applications, with learned sums and projections (ours).

    Args:
        image: channels, height and width; the sides are multiples of `patch`.
        classes: number of logits.
        width: channels of a token, a multiple of `heads`.
        heads: attention heads.
        blocks: distinct blocks.
        times: applications of each.
        one_projection: True for one projection in each block, False for one after each application.
        patch: side of a patch in pixels.
        ratio: inner width of the feed-forward branch over `width`.
        name, source: what listings show.
    """
    host = deit(image=image, classes=classes, width=width, depth=1, heads=heads, patch=patch)
    branches = (Mix(Attention(heads), add=LearnedSum()), FeedForward(ratio, add=LearnedSum()))
    projection = FeedForward(1, add=LearnedSum(), may_drop=False)
    if one_projection:
        layer = Recursive(Block((*branches, projection)), times)
    else:
        layer = Recursive(Block(branches), times, projection)
    return replace(host, name=name, source=source, layers=(layer,) * blocks)


PAPER = "SReT, arXiv 2111.05297"
WIDE = {"width": 192, "heads": 3}
ENTRIES = {
    **{
        f"deit_{size}_recursive": Entry(deit, DEIT[size], 224, OURS, PAPER, change=recursive)
        for size in ("tiny", "small")
    },
    "sret_108": Entry(extremely_deep, {**WIDE, "blocks": 12, "times": 9}, 224, OURS, PAPER),
    "sret_108_one_projection": Entry(
        extremely_deep, {**WIDE, "blocks": 27, "times": 4, "one_projection": True}, 224, OURS, PAPER
    ),
    "sret_120": Entry(sret, {**TINY, "blocks": (4, 10, 6), "times": 6}, 224, OURS, PAPER),
    "sret_1008": Entry(
        extremely_deep, {**WIDE, "blocks": 28, "times": 36, "one_projection": True}, 224, OURS, PAPER
    ),
}
