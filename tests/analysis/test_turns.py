"""What turns do, on maps whose fixed point is known."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.models.entries import shrink
from vitreous.analysis.turns import changes, coefficients, turn_by_turn
from vitreous.models import build, config
from vitreous.parts import Tokens


class Halving(nn.Module):
    """Half way to 1: a fixed point at 1, and half the distance each turn."""

    def forward(self, tokens: Tokens) -> Tokens:
        return replace(tokens, x=(tokens.x + 1) / 2)


def test_the_change_is_relative_to_what_was_there() -> None:
    states = [torch.ones(1, 2, 3), torch.full((1, 2, 3), 3.0), torch.full((1, 2, 3), 3.0)]
    assert changes(states).tolist() == [[2.0], [0.0]]


def test_a_block_that_contracts_comes_to_rest_beyond_its_turns() -> None:
    model = build(config("sret_108", width=8, heads=2, blocks=1, times=2, patch=4, image_size=8, classes=3))
    model.eval().layers[0].block = Halving()
    for number in range(2):
        setattr(model.layers[0].between, str(number), nn.Identity())
    found = turn_by_turn(model, torch.randn(2, 3, 8, 8), beyond=8)["layers.0"]
    assert found.shape == (10, 2)
    assert (found[3:] < found[2:-1]).all() and found[-1].max() < 0.01


def test_the_turns_are_those_of_the_model() -> None:
    model = build(shrink("sret_tiny")).eval()
    images = torch.randn(2, 3, 56, 56)
    found = turn_by_turn(model, images, beyond=1)
    assert list(found) == [f"layers.{number}" for number in (0, 2, 4)]
    with torch.no_grad():
        tokens = model.position(model.prefix(model.stem(images)))
        after = model.layers[0].once(tokens, 0)
    expected = (after.x - tokens.x).flatten(1).norm(dim=1) / tokens.x.flatten(1).norm(dim=1)
    assert torch.allclose(found["layers.0"][0], expected)


def test_coefficients_are_read_by_depth() -> None:
    model = build(shrink("sret_tiny"))
    with torch.no_grad():
        model.layers[2].block.branches[0].add.branch.fill_(0.25)
    found = coefficients(model)
    assert [each.layer for each in found] == sorted(each.layer for each in found)
    assert len(found) == 3 * (2 + 2)  # attention, feed-forward, and a projection for each of two turns
    assert [each.branch for each in found if each.name == "layers.2.block.branches.0.add"] == [0.25]
    assert coefficients(build(shrink("deit_tiny"))) == []


def test_models_without_turns_have_none() -> None:
    assert turn_by_turn(build(shrink("deit_tiny")).eval(), torch.randn(1, 3, 16, 16)) == {}


@pytest.mark.parametrize("beyond", [0, 3])
def test_nothing_is_left_hooked(beyond: int) -> None:
    model = build(shrink("sret_tiny")).eval()
    turn_by_turn(model, torch.randn(1, 3, 56, 56), beyond=beyond)
    assert not any(each._forward_pre_hooks for each in model.modules())
