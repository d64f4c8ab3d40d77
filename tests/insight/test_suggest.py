"""Suggestions can be built, save what the cost says, and tell turns from layers."""

from dataclasses import replace

import pytest

from vitreous.analysis.cost import cost
from vitreous.analysis.with_shared_map import with_shared_map
from vitreous.errors import ConfigError
from vitreous.insight.suggest import suggestions, told
from vitreous.models import VisionTransformer, build, config
from vitreous.parts import Attention, Block, FeedForward, Mix, Recursive, SharedAttention, Sliced


def small(*layers) -> VisionTransformer:
    plain = config("deit_tiny", width=16, depth=1, heads=2, patch=4, image_size=16, classes=5)
    no_class = config("swin_tiny", classes=5)
    return replace(plain, layers=layers, prefix=no_class.prefix, head=no_class.head)


PLAIN = Block((Mix(Attention(2)), FeedForward(2)))


def maps(names: list[str], near: float) -> dict:
    matched = [[near if a != b else 1.0 for b in range(len(names))] for a in range(len(names))]
    return {"similar_maps": {"groups": [{"layers": names, "matched": matched}]}}


def hints_of(value: VisionTransformer, names: list[str], near: float = 0.9) -> list:
    return suggestions(build(value), maps(names, near), maps(names, 0.1))


def test_a_run_of_layers_takes_the_first_map_and_saves_what_the_cost_says() -> None:
    value = small(PLAIN, PLAIN, PLAIN)
    hints = hints_of(value, ["layers.0", "layers.1", "layers.2"])
    assert [(each.kind, each.layer, each.of) for each in hints] == [
        ("share", "layers.1", "layers.0"),
        ("share", "layers.2", "layers.0"),
    ]
    shared = with_shared_map(with_shared_map(value, 1, 0), 2, 0)
    assert shared.layers[0].branches[0].mixer == Attention(2, lends=True)
    assert shared.layers[2].branches[0].mixer == SharedAttention(2)
    assert sum(each.saved_macs for each in hints) == cost(value).macs - cost(shared).macs > 0
    build(shared)
    assert "2 layers could share a map" in told(hints, cost(value).macs)


def test_a_recursive_layer_shares_in_all_turns_and_alike_turns_suggest_one_turn() -> None:
    value = small(PLAIN, Recursive(PLAIN, 2))
    names = ["layers.0", "layers.1 turn 0", "layers.1 turn 1"]
    share, turns = hints_of(value, names)
    assert (share.kind, share.layer, share.of) == ("share", "layers.1", "layers.0")
    assert share.saved_macs == cost(value).macs - cost(with_shared_map(value, 1, 0)).macs
    once = small(PLAIN, PLAIN)
    assert (turns.kind, turns.layer) == ("turns", "layers.1")
    assert turns.saved_macs == cost(value).macs - cost(once).macs
    assert "a turn cannot take another's, since one block runs in all" in told([share, turns], None)


def test_one_turn_that_differs_keeps_the_layer_from_sharing() -> None:
    names = ["layers.0", "layers.1 turn 0", "layers.1 turn 1"]
    found = maps(names, 0.9)
    found["similar_maps"]["groups"][0]["matched"][1][2] = 0.2
    assert suggestions(build(small(PLAIN, Recursive(PLAIN, 2))), found, maps(names, 0.1)) == []


def test_what_is_alike_and_cannot_share_says_why() -> None:
    sliced = Block((Mix(Sliced(Attention(2), (4,))), FeedForward(2)))
    value = small(PLAIN, sliced)
    with pytest.raises(ConfigError):
        cost(with_shared_map(value, 1, 0))
    (hint,) = hints_of(value, ["layers.0", "layers.1"])
    assert hint.kind == "cannot" and hint.saved_macs == 0
    said = told([hint], None)
    assert said.startswith("Nothing is suggested to share or to pool. layers.1 would be alike")
    assert "but: layer 1, " in said and "same slices" in said


def test_every_group_of_equally_many_tokens_is_looked_at() -> None:
    value = small(PLAIN, PLAIN, PLAIN, PLAIN)
    found, control = (maps(["layers.0", "layers.1"], near) for near in (0.9, 0.1))
    for each, near in ((found, 0.9), (control, 0.1)):
        each["similar_maps"]["groups"] += maps(["layers.2", "layers.3"], near)["similar_maps"]["groups"]
    hints = suggestions(build(value), found, control)
    assert [(each.layer, each.of) for each in hints] == [("layers.1", "layers.0"), ("layers.3", "layers.2")]
