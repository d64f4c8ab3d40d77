"""Suggestions follow similarity above the control, and their savings are those of the models."""

from dataclasses import replace

import pytest

from vitreous.analysis.cost import cost
from vitreous.analysis.sharing_hints import LayerSize, pooling, sharing
from vitreous.models import config
from vitreous.parts import Attention, Block, FeedForward, Mix, SharedAttention


def test_what_sharing_would_save_is_what_the_cost_says() -> None:
    small = config("deit_tiny", depth=2)
    lends = Block((Mix(Attention(3, lends=True)), FeedForward(4)))
    shares = Block((Mix(SharedAttention(3)), FeedForward(4)))
    saved = cost(small).macs - cost(replace(small, layers=(lends, shares))).macs
    sizes = [LayerSize(f"layers.{number}", 197, 192, 0) for number in range(2)]
    (hint,) = sharing(sizes, [0.9], [0.1])
    assert (hint.layer, hint.of, hint.saved_macs) == ("layers.1", "layers.0", saved)
    assert hint.alike == pytest.approx(0.8)


def test_the_control_is_taken_away_and_a_run_shares_its_first_map() -> None:
    sizes = [LayerSize(f"layers.{number}", 10, 8, 0) for number in range(4)]
    assert sharing(sizes, [0.6, 0.6, 0.6], [0.3, 0.3, 0.3]) == []
    hints = sharing(sizes, [0.9, 0.9, 0.1], [0.0, 0.0, 0.0])
    assert [(each.layer, each.of) for each in hints] == [("layers.1", "layers.0"), ("layers.2", "layers.0")]


def test_maps_of_other_tokens_cannot_be_shared() -> None:
    sizes = [LayerSize("layers.0", 16, 8, 0), LayerSize("layers.1", 4, 8, 0)]
    assert sharing(sizes, [1.0], [0.0]) == []


def test_pooling_is_suggested_where_neighbours_first_are_alike_and_never_at_the_end() -> None:
    sizes = [LayerSize(f"layers.{number}", 16, 8, 10_000) for number in range(3)]
    (hint,) = pooling(sizes, [0.1, 0.7, 0.9])
    assert hint.layer == "layers.1" and 0.75 * 10_000 < hint.saved_macs < 0.9375 * 10_000
    assert pooling(sizes, [0.1, 0.2, 0.9]) == []
