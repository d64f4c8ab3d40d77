"""The parts that models are described with. One idea a file: the description, then the module behind it."""

from vitreous.parts.attention import Attention
from vitreous.parts.block import Block, FeedForward, Mix
from vitreous.parts.channel_split import ChannelSplit
from vitreous.parts.depthwise_conv import DepthwiseConv
from vitreous.parts.description import Description
from vitreous.parts.head import ClassTokenHead
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Head, Mixer, Norm, Part, Stem
from vitreous.parts.position import LearnedPosition, NoPosition
from vitreous.parts.prefix import ClassToken
from vitreous.parts.stem import ConvPoolStem, PatchStem
from vitreous.parts.tokens import ImageShape, Tokens, TokenShape

# All descriptions that a model can hold; a new part adds its line here, and JSON files can name it.
DESCRIPTIONS: tuple[type[Description], ...] = (
    Attention,
    Block,
    ChannelSplit,
    ClassToken,
    ClassTokenHead,
    ConvPoolStem,
    DepthwiseConv,
    FeedForward,
    ImageShape,
    LayerNorm,
    LearnedPosition,
    Mix,
    NoPosition,
    PatchStem,
)

__all__ = [
    "DESCRIPTIONS",
    "Attention",
    "Block",
    "ChannelSplit",
    "ClassToken",
    "ClassTokenHead",
    "ConvPoolStem",
    "DepthwiseConv",
    "Description",
    "FeedForward",
    "Head",
    "ImageShape",
    "LayerNorm",
    "LearnedPosition",
    "Mix",
    "Mixer",
    "NoPosition",
    "Norm",
    "Part",
    "PatchStem",
    "Stem",
    "TokenShape",
    "Tokens",
]
