"""The parts that models are described with. One idea a file: the description, then the module behind it."""

from vitreous.parts.attention import Attention
from vitreous.parts.block import Block, FeedForward, Mix
from vitreous.parts.channel_split import ChannelSplit
from vitreous.parts.compact_stem import CompactStem
from vitreous.parts.conv_group_stem import ConvGroupStem
from vitreous.parts.conv_stem import ConvStem
from vitreous.parts.depthwise_conv import DepthwiseConv
from vitreous.parts.description import Description
from vitreous.parts.distilled_head import DistilledHead
from vitreous.parts.head import ClassTokenHead, MeanHead
from vitreous.parts.lape import LaPE
from vitreous.parts.macs import Macs
from vitreous.parts.merge_patches import MergePatches
from vitreous.parts.norm import LayerNorm, NoNorm, Normalize
from vitreous.parts.part import Head, Mixer, Norm, Part, Stem, Sum
from vitreous.parts.partial_norm import PartialNorm
from vitreous.parts.position import AddPosition, CarryPosition, JoinPosition, NoPosition
from vitreous.parts.position_table import GridTable, LearnedTable, Sinusoid1D, Sinusoid2D, Table
from vitreous.parts.prefix import ClassToken, DistilledTokens, NoPrefix
from vitreous.parts.recursion import Recursive
from vitreous.parts.relative_position import RelativePosition
from vitreous.parts.residual import LearnedSum, PlainSum
from vitreous.parts.sequence_pool import SequencePoolHead
from vitreous.parts.shared_attention import SharedAttention
from vitreous.parts.sliced import Sliced
from vitreous.parts.stem import ConvPoolStem, PatchStem
from vitreous.parts.token_mlp import TokenMLP
from vitreous.parts.token_pool import GridPool, LinePool
from vitreous.parts.token_to_token import TokenToToken
from vitreous.parts.tokens import ImageShape, Lent, Tokens, TokenShape
from vitreous.parts.transposed import Transposed
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
    CompactStem,
    ConvGroupStem,
    ConvPoolStem,
    ConvStem,
    DepthwiseConv,
    DistilledHead,
    DistilledTokens,
    FeedForward,
    GridPool,
    GridTable,
    ImageShape,
    JoinPosition,
    LaPE,
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
    PartialNorm,
    PatchStem,
    PlainSum,
    Recursive,
    RelativePosition,
    SequencePoolHead,
    SharedAttention,
    Sinusoid1D,
    Sinusoid2D,
    Sliced,
    TokenMLP,
    TokenToToken,
    Transposed,
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
    "CompactStem",
    "ConvGroupStem",
    "ConvPoolStem",
    "ConvStem",
    "DepthwiseConv",
    "Description",
    "DistilledHead",
    "DistilledTokens",
    "FeedForward",
    "GridPool",
    "GridTable",
    "Head",
    "ImageShape",
    "JoinPosition",
    "LaPE",
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
    "PartialNorm",
    "PatchStem",
    "PlainSum",
    "Recursive",
    "RelativePosition",
    "SequencePoolHead",
    "SharedAttention",
    "Sinusoid1D",
    "Sinusoid2D",
    "Sliced",
    "Stem",
    "Sum",
    "Table",
    "TokenMLP",
    "TokenShape",
    "TokenToToken",
    "Tokens",
    "Transposed",
    "Windows",
]
