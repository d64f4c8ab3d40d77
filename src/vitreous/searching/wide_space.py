"""A wider space for 32-pixel images: every idea of the project in every layer. Ours; no paper has it.

The stem is one of plain patches, EIT's convolution and pool of its small-image model, or three convolutions
with BatchNorm, the last two with a stride. For each of the twelve layers it is chosen how tokens meet
(attention, attention in slices, the map of a layer before, EIT's split into a convolution and attention,
feed-forward over tokens), whether the position is added for this layer by a LaPE, and whether the block is
applied once or twice. For two pools it is chosen before which layers they stand. Tokens are 64, 16 and 4;
widths are those of `psvit_2d_small_image_12`.
"""

from vitreous.models.entry import OURS
from vitreous.models.init import PSViTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    CarryPosition,
    ChannelSplit,
    ConvGroupStem,
    ConvPoolStem,
    DepthwiseConv,
    FeedForward,
    GridPool,
    ImageShape,
    LaPE,
    LearnedTable,
    MeanHead,
    Mix,
    NoPrefix,
    PatchStem,
    Recursive,
    SharedAttention,
    Sliced,
    Transposed,
)
from vitreous.searching.choice import ByStage, Choice, Pooled
from vitreous.searching.space import Space

# Choices stand where the types of parts are declared: mypy is told, and `Space` checks them.
# mypy: disable-error-code="arg-type"


def wide_space(
    *,
    image: ImageShape,
    classes: int,
    dims: tuple[int, ...] = (48, 96, 192),
    heads: tuple[int, ...] = (2, 4, 8),
    depth: int = 12,
    patch: int = 4,
    slices: tuple[int, ...] = (4, 4, 2),
    ratio: float = 4,
    token_ratio: float = 2,
) -> Space:
    """The space of all ideas.

    Args:
        image: channels, height and width.
        classes: number of logits.
        dims, heads: of each stage; half of the channels go through EIT's convolution, with half of the heads.
        depth: number of layers.
        patch: side in pixels of what a token stands for, 2, 4, 8 …
        slices: of the sliced attention in each stage.
        ratio: inner width of the feed-forward branch over the width.
        token_ratio: inner size of the feed-forward over tokens over their number.
    """
    own = Attention(ByStage(heads), lends=True)
    sliced = Sliced(Attention(ByStage(heads)), ByStage(tuple((each,) for each in slices)))
    shared = SharedAttention(ByStage(heads))
    half = ByStage(tuple(width // 2 for width in dims))
    few = ByStage(tuple(max(1, each // 2) for each in heads))
    split = ChannelSplit(((half, DepthwiseConv(3)), (half, Attention(few))))
    over_tokens = Transposed(FeedForward(token_ratio))

    halvings = patch.bit_length() - 1
    groups = tuple(dims[0] >> left for left in reversed(range(halvings)))
    stems = (
        PatchStem(patch, dims[0]),
        ConvPoolStem(3, 1, patch, dims[0]),
        ConvGroupStem(dims[0] // 3, groups, convs=1, pool=False),
    )

    def layer(*mixers: object) -> Recursive:
        ways = [Mix(Choice((each, LaPE(each)), "LaPE")) for each in mixers]
        meet = Choice((*ways, over_tokens), "tokens meet")
        return Recursive(Block((meet, FeedForward(ratio))), Choice((1, 2), "turns"))

    return Space(
        VisionTransformer(
            name="wide_small_image",
            source=OURS,
            image=image,
            stem=Choice(stems),
            prefix=NoPrefix(),
            position=Block((AddPosition(LearnedTable()), CarryPosition(LearnedTable(), may_drop=False))),
            layers=Pooled(
                (layer(own, sliced, split), *(layer(own, sliced, shared, split),) * (depth - 1)),
                tuple((GridPool(width), CarryPosition(LearnedTable(), may_drop=False)) for width in dims[1:]),
            ),
            head=MeanHead(classes),
            init=PSViTInit(),
        )
    )
