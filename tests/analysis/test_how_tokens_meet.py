"""How tokens meet, in words."""

import pytest

from tests.models.entries import ENTRIES
from vitreous.analysis.how_tokens_meet import how_tokens_meet
from vitreous.parts import (
    Attention,
    Block,
    ChannelSplit,
    DepthwiseConv,
    Description,
    FeedForward,
    GridPool,
    LaPE,
    Mix,
    Recursive,
    SharedAttention,
    Sliced,
    Transposed,
    Windows,
)


def block(*branches: Description) -> Block:
    return Block((*branches, FeedForward(4)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (block(Mix(Attention(2))), "attention"),
        (block(Mix(LaPE(Sliced(Attention(2), (8, 2))))), "sliced attention + LaPE"),
        (block(GridPool(16), Mix(SharedAttention(2))), "pool, shared attention"),
        (
            block(Mix(ChannelSplit(((8, DepthwiseConv(3)), (8, Attention(2)))))),
            "convolution beside attention",
        ),
        (block(Transposed(FeedForward(4))), "feed-forward over tokens"),
        (block(Transposed(Mix(Attention(1)))), "attention over channels"),
        (Recursive(block(Mix(Windows(Attention(2), 7))), 3), "attention in windows, 3 turns"),
        (Recursive(block(Mix(Attention(2))), 1), "attention"),
        (FeedForward(4), ""),
    ],
)
def test_each_way_to_meet_has_its_words(part: Description, words: str) -> None:
    assert how_tokens_meet(part) == words


@pytest.mark.parametrize("described", ENTRIES.values(), ids=ENTRIES)
def test_every_model_has_a_layer_where_tokens_meet(described) -> None:
    assert any(how_tokens_meet(layer) for layer in described.layers)
