"""Feed-forward only: a vision transformer whose attention is a second feed-forward, over the tokens.

Melas-Kyriazi, "Do You Even Need Attention? A Stack of Feed-Forward Layers Does Surprisingly Well on
ImageNet", arXiv 2105.02723; released code lukemelas/do-you-even-need-attention, commit 3b28ae3,
`vision_transformer_linear.py`.

    paper / code             here
    feed-forward, features   FeedForward(4), first
    feed-forward, patches    Transposed(FeedForward(4)): its norm runs over the tokens of a channel
    linear_{tiny,base,large} feed_forward_{tiny,base,large}
    position encoding        AddPosition(GridTable((14, 14))), in all sizes; large resizes it to its 7×7 grid

Its order is the reverse of ViT's: the features first, the mixing second. The class token is one of the tokens
that are mixed, and only so does it learn of the image. The inner width over the tokens is 4 · tokens, so that
cost grows with their square; `token_ratio` changes it.

The last layer's output bias over tokens does nothing: it shifts all channels of a token alike, which the norm
of the head takes out again. Its gradient is 0, in the released code too.

`attention_only` is the paper's ablation (section 3.4: 4.0 M parameters, 28.2 % when stopped): attention over
the tokens, then over the features. It has no released code. **Ours**, and unverified: one head over the
features (197 tokens divide by nothing else), the order, the norms, the biases and the position.

Deviations: position tables are free of weight decay as by default in vitreous (the released code names them
without their prefix and so decays them); the image size is an argument, and tokens follow from it (there it
is 224 whatever the images), but an image that leaves a rest of a patch is refused.
"""

from vitreous.models.entry import AUTHORS, OURS, Entry
from vitreous.models.init import DeiTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ClassToken,
    ClassTokenHead,
    FeedForward,
    GridTable,
    ImageShape,
    LayerNorm,
    Mix,
    Norm,
    Part,
    PatchStem,
    Table,
    Transposed,
)

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"patch": 16, "width": 192, "depth": 12},
    "base": {"patch": 16, "width": 768, "depth": 12},
    "large": {"patch": 32, "width": 1024, "depth": 24},
    # Ours, about as large as EIT's model for images of 32 pixels.
    "small_image": {"patch": 4, "width": 192, "depth": 8},
}
TABLE = GridTable((14, 14))  # the released code's, whatever the grid of tokens


def feed_forward(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    patch: int = 16,
    ratio: float = 4,
    token_ratio: float = 4,
    table: Table = TABLE,
    norm: Norm = LayerNorm(),
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """A feed-forward-only model of any size.

    Args:
        image: channels, height and width, multiples of `patch`; the model takes this size alone.
        classes: number of logits.
        width: channels of a token.
        depth: number of layers.
        patch: side of a patch in pixels.
        ratio: inner width over `width` of the feed-forward over features.
        token_ratio: inner width over the number of tokens of the feed-forward over tokens.
        table: the position table.
        norm: of all branches and of the head.
        name, source: what listings show.
    """
    block = Block((FeedForward(ratio, norm=norm), Transposed(FeedForward(token_ratio, norm=norm))))
    return _around((block,) * depth, image, classes, width, patch, table, norm, name, source)


def attention_only(
    *,
    image: ImageShape,
    classes: int,
    width: int,
    depth: int,
    heads: int,
    feature_heads: int = 1,
    patch: int = 16,
    table: Table = TABLE,
    norm: Norm = LayerNorm(),
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """The ablation without feed-forward: attention over tokens, then over features.

    Args:
        image, classes, width, depth, patch, table, norm: as in `feed_forward`.
        heads: of the attention over tokens, a divisor of the width.
        feature_heads: of the attention over features, a divisor of the number of tokens.
        name, source: what listings show.
    """
    block = Block((Mix(Attention(heads), norm=norm), Transposed(Mix(Attention(feature_heads), norm=norm))))
    return _around((block,) * depth, image, classes, width, patch, table, norm, name, source)


def _around(
    layers: tuple[Part, ...],
    image: ImageShape,
    classes: int,
    width: int,
    patch: int,
    table: Table,
    norm: Norm,
    name: str,
    source: str,
) -> VisionTransformer:
    """What both have in common: ViT's stem, class token, position and head."""
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=PatchStem(patch, width),
        prefix=ClassToken(),
        position=AddPosition(table),
        layers=layers,
        head=ClassTokenHead(classes, norm=norm),
        init=DeiTInit(),
    )


def authors_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(the released code's name, ours) for every module or parameter, as beginnings of state-dict keys."""
    pairs = [
        ("patch_embed.proj.", "stem.conv."),
        ("cls_token", "prefix.token"),
        ("pos_encoding.pos_embed", "position.table.weight"),
        ("pos_encoding.cls_pos_embed", "position.table.prefix"),
        ("norm.", "head.norm."),
        ("head.", "head.classifier."),
    ]
    for number in range(len(config.layers)):
        features, tokens = f"layers.{number}.branches.0.", f"layers.{number}.branches.1.part."
        for which, ours in (("1", features), ("2", tokens)):
            pairs += [
                (f"blocks.{number}.norm{which}.", f"{ours}norm."),
                (f"blocks.{number}.mlp{which}.fc1.", f"{ours}widen."),
                (f"blocks.{number}.mlp{which}.fc2.", f"{ours}narrow."),
            ]
    return tuple(pairs)


PAPER = "Do You Even Need Attention?, arXiv 2105.02723"
ENTRIES = {
    "feed_forward_tiny": Entry(
        feed_forward, SIZES["tiny"], 224, AUTHORS, PAPER, ("FF-tiny", "linear_tiny"), names=authors_names
    ),
    "feed_forward_base": Entry(
        feed_forward, SIZES["base"], 224, AUTHORS, PAPER, ("FF-base", "linear_base"), names=authors_names
    ),
    "feed_forward_large": Entry(
        feed_forward, SIZES["large"], 224, AUTHORS, PAPER, ("FF-large", "linear_large"), names=authors_names
    ),
    "feed_forward_small_image": Entry(
        feed_forward, {**SIZES["small_image"], "table": GridTable()}, 32, OURS, PAPER, names=authors_names
    ),
    "attention_only_tiny": Entry(attention_only, {**SIZES["tiny"], "heads": 3}, 224, OURS, PAPER),
}
