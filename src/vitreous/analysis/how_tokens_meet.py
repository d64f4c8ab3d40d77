"""How the tokens of a layer meet, in words that fit beside a drawing.

Block((Mix(Attention(3)), FeedForward(4)))                              "attention"
Block((Mix(LaPE(Sliced(Attention(2), (8, 2)))), FeedForward(4)))        "sliced attention + LaPE"
Block((GridPool(96), Mix(SharedAttention(6)), FeedForward(4)))          "pool, shared attention"
"""

from vitreous.parts import (
    Attention,
    Block,
    ChannelSplit,
    DepthwiseConv,
    Description,
    FeedForward,
    GridPool,
    LaPE,
    LinePool,
    MergePatches,
    Mix,
    Recursive,
    SharedAttention,
    Sliced,
    TokenMLP,
    Transposed,
    Windows,
)

OVER_TOKENS = "feed-forward over tokens"


def how_tokens_meet(part: Description) -> str:
    """In words; "" for what works on each token alone, such as a feed-forward."""
    match part:
        case Block(branches):
            return ", ".join(dict.fromkeys(filter(None, map(how_tokens_meet, branches))))
        case Recursive(block, times):
            return f"{how_tokens_meet(block)}, {times} turns" if times > 1 else how_tokens_meet(block)
        case Mix(mixer):
            return how_tokens_meet(mixer)
        case ChannelSplit(slices):
            return " beside ".join(how_tokens_meet(mixer) for _, mixer in slices)
        case Sliced(mixer):
            return f"sliced {how_tokens_meet(mixer)}"
        case Windows(mixer):
            return f"{how_tokens_meet(mixer)} in windows"
        case LaPE(mixer):
            return f"{how_tokens_meet(mixer)} + LaPE"
        case Transposed(FeedForward()):
            return OVER_TOKENS
        case Transposed(inside):
            return f"{how_tokens_meet(inside)} over channels"
    words: dict[type[Description], str] = {
        Attention: "attention",
        SharedAttention: "shared attention",
        DepthwiseConv: "convolution",
        TokenMLP: OVER_TOKENS,
        GridPool: "pool",
        LinePool: "pool",
        MergePatches: "pool",
    }
    return words.get(type(part), "")
