"""The parts that models are described with. One idea a file: the description, then the module behind it."""

from vitreous.parts.attention import Attention
from vitreous.parts.block import Block, FeedForward, Mix
from vitreous.parts.channel_split import ChannelSplit
from vitreous.parts.depthwise_conv import DepthwiseConv
from vitreous.parts.description import Description
from vitreous.parts.head import ClassTokenHead, MeanHead
from vitreous.parts.macs import Macs
from vitreous.parts.merge_patches import MergePatches
from vitreous.parts.norm import LayerNorm, NoNorm, Normalize
from vitreous.parts.part import Head, Mixer, Norm, Part, Stem, Sum
from vitreous.parts.position import AddPosition, CarryPosition, JoinPosition, NoPosition
from vitreous.parts.position_table import GridTable, LearnedTable, Sinusoid1D, Sinusoid2D, Table
from vitreous.parts.prefix import ClassToken, NoPrefix
from vitreous.parts.relative_position import RelativePosition
from vitreous.parts.residual import LearnedSum, PlainSum
from vitreous.parts.shared_attention import SharedAttention
from vitreous.parts.stem import ConvPoolStem, PatchStem
from vitreous.parts.token_pool import GridPool, LinePool
from vitreous.parts.token_to_token import TokenToToken
from vitreous.parts.tokens import ImageShape, Lent, Tokens, TokenShape
from vitreous.parts.windows import Windows

# All descriptions that a model can hold; a new part adds its line here, and JSON files can name it.
DESCRIPTIONS: tuple[type[Description], ...] = (
    AddPosition,
    Attention,
    Block,
    CarryPosition,
    ChannelSplit,
    ClassToken,
    ClassTokenHead,
    ConvPoolStem,
    DepthwiseConv,
    FeedForward,
    GridPool,
    GridTable,
    ImageShape,
    JoinPosition,
    LayerNorm,
    LearnedSum,
    LearnedTable,
    LinePool,
    MeanHead,
    MergePatches,
    Mix,
    NoNorm,
    NoPosition,
    NoPrefix,
    Normalize,
    PatchStem,
    PlainSum,
    RelativePosition,
    SharedAttention,
    Sinusoid1D,
    Sinusoid2D,
    TokenToToken,
    Windows,
)

__all__ = [
    "DESCRIPTIONS",
    "AddPosition",
    "Attention",
    "Block",
    "CarryPosition",
    "ChannelSplit",
    "ClassToken",
    "ClassTokenHead",
    "ConvPoolStem",
    "DepthwiseConv",
    "Description",
    "FeedForward",
    "GridPool",
    "GridTable",
    "Head",
    "ImageShape",
    "JoinPosition",
    "LayerNorm",
    "LearnedSum",
    "LearnedTable",
    "Lent",
    "LinePool",
    "Macs",
    "MeanHead",
    "MergePatches",
    "Mix",
    "Mixer",
    "NoNorm",
    "NoPosition",
    "NoPrefix",
    "Norm",
    "Normalize",
    "Part",
    "PatchStem",
    "PlainSum",
    "RelativePosition",
    "SharedAttention",
    "Sinusoid1D",
    "Sinusoid2D",
    "Stem",
    "Sum",
    "Table",
    "TokenShape",
    "TokenToToken",
    "Tokens",
    "Windows",
]
