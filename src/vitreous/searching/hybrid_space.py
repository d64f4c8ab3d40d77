"""A space of hybrids for small images: which convolutions, and which few layers behind them. Ours.

The members of this space are like `hybrid_1m` (`models/hybrid.py`), which learns small data sets sooner than
any stack of twelve layers at the same cost. It is chosen how many channels the first convolution and each
group of convolutions have, hence whether there are two groups or three and tokens of 8×8 or 4×4 places at 32
px; whether a group has one convolution or two; whether it halves by pooling or by stride, at a quarter of the
multiplications. For each of the two layers behind: attention, the map of the layer before, or feed-forward
over tokens; how wide it is inside; whether it is applied once or twice.

At 32 px its models have 4 to 167 million MACs. As in `hybrid_1m`, images above 48 px get one more, narrower
group in front.
"""

from vitreous.models.entry import OURS
from vitreous.models.hybrid import MOST_A_SIDE
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
    SharedAttention,
    Transposed,
)
from vitreous.searching.choice import Choice
from vitreous.searching.space import Space

# Choices stand where the types of parts are declared: mypy is told, and `Space` checks them.
# mypy: disable-error-code="arg-type"

WIDTHS = (
    (24, 48, 96),
    (32, 64, 128),
    (48, 96, 128),
    (48, 96, 160),
    (64, 128, 160),
    (64, 192, 256),
    (32, 96),
    (48, 128),
    (64, 160),
)


def hybrid_space(
    *,
    image: ImageShape,
    classes: int,
    firsts: tuple[int, ...] = (16, 24, 32),
    widths: tuple[tuple[int, ...], ...] = WIDTHS,
    heads: int = 4,
    depth: int = 2,
    ratios: tuple[float, ...] = (2, 4),
    token_ratio: float = 2,
) -> Space:
    """The space of hybrids.

    Args:
        image: channels, height and width.
        classes: number of logits.
        firsts: channels that the first convolution may have.
        widths: channels that the groups of convolutions may have; the last are those of a token.
        heads: attention heads, a divisor of every last width.
        depth: number of layers behind the convolutions.
        ratios: inner widths that feed-forward parts may have, over the width of a token.
        token_ratio: inner size of the feed-forward over tokens over their number.
    """
    if min(image.height, image.width) > MOST_A_SIDE * 2 ** max(map(len, widths)):
        front = sorted(firsts)[len(firsts) // 2]
        firsts, widths = tuple(each // 2 for each in firsts), tuple((front, *each) for each in widths)
    own, shared = Mix(Attention(heads, lends=True)), Mix(SharedAttention(heads))
    over_tokens = Transposed(FeedForward(token_ratio))

    def layer(*ways: object) -> Recursive:
        block = Block((Choice(ways, "tokens meet"), FeedForward(Choice(ratios, "ratio"))))
        return Recursive(block, Choice((1, 2), "turns"))

    return Space(
        VisionTransformer(
            name="hybrid_small_image",
            source=OURS,
            image=image,
            stem=ConvGroupStem(
                Choice(firsts, "first"),
                Choice(widths, "widths"),
                Choice((1, 2), "convs"),
                Choice((True, False), "pool"),
            ),
            prefix=NoPrefix(),
            position=NoPosition(),
            layers=(layer(own, over_tokens), *(layer(own, shared, over_tokens),) * (depth - 1)),
            head=MeanHead(classes, norm_each=True),
            init=PSViTInit(0.05),
        )
    )
