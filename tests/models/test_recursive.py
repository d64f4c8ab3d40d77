"""Naive recursion of any model, and extremely deep networks: what they cost, and what is applied again."""

import pytest
import torch

from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.models import build, config
from vitreous.models.recursive import extremely_deep, recursive
from vitreous.parts import Block, FeedForward, ImageShape, LearnedSum, Recursive

NLL = FeedForward(1, add=LearnedSum(), may_drop=False)


@pytest.mark.parametrize(
    ("name", "switches", "times", "between", "parameters", "gmacs"),
    [
        ("deit_tiny", {}, 1, None, 5_717_416, 1.254),
        ("deit_tiny", {}, 2, None, 5_717_416, 2.478),
        ("deit_tiny", {}, 3, None, 5_717_416, 3.703),
        ("deit_tiny", {}, 2, NLL, 7_505_368, 2.827),
        ("deit_tiny", {"depth": 6}, 2, None, 3_048_232, 1.254),
        ("deit_small", {}, 1, None, 22_050_664, 4.599),
        ("deit_small", {}, 2, None, 22_050_664, 9.140),
        ("mlp_mixer_small", {}, 1, None, 18_528_264, 3.777),
        ("mlp_mixer_small", {}, 2, None, 18_528_264, 7.476),
    ],
)
def test_applying_the_blocks_again_costs_what_was_measured(
    name, switches, times, between, parameters, gmacs
) -> None:
    counted = cost(recursive(config(name, **switches), times, between))
    assert counted.parameters == parameters
    assert round(counted.macs / 1e9, 3) == gmacs


@pytest.mark.parametrize(
    ("switches", "parameters", "gmacs"),
    [
        ({"times": 1}, 4_176_375, 0.732),
        ({}, 4_755_979, 1.366),
        ({"times": 1, "blocks": (4, 10, 6)}, 7_984_582, 1.366),
    ],
    ids=["blocks once", "blocks twice", "twenty untied blocks"],
)
def test_srets_shape_with_other_turns_costs_what_was_measured(switches, parameters, gmacs) -> None:
    counted = cost(config("sret_tiny_unsliced", **switches))
    assert counted.parameters == parameters
    assert round(counted.macs / 1e9, 3) == gmacs


@pytest.mark.parametrize(
    ("name", "applications", "millions"),
    [
        ("sret_108", 108, "13.76"),
        ("sret_108_one_projection", 108, "14.40"),
        ("sret_120", 120, "13.78"),
        ("sret_1008", 1008, "14.92"),
    ],
)
def test_a_hundred_and_a_thousand_applications_have_13_to_15_million_parameters(
    name, applications, millions
) -> None:
    described = config(name)
    assert sum(layer.times for layer in described.layers if isinstance(layer, Recursive)) == applications
    assert f"{cost(described).parameters / 1e6:.2f}" == millions


def test_the_same_depth_without_recursion_has_three_times_as_many() -> None:
    assert f"{cost(config('deit_tiny', depth=108)).parameters / 1e6:.1f}" == "48.4"
    assert round(cost(config("sret_108")).macs / 1e9, 1) == 12.6


def test_recursion_once_gives_the_models_own_logits() -> None:
    host = config("deit_tiny", width=16, heads=2, depth=2, patch=4, image_size=8)
    plain, once = build(host).eval(), build(recursive(host, 1)).eval()
    renamed = {
        name.replace(".branches.", ".block.branches."): weight for name, weight in plain.state_dict().items()
    }
    once.load_state_dict(renamed)
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(once(images), plain(images))


def test_recursion_twice_applies_each_block_to_its_own_output() -> None:
    host = config("deit_tiny", width=16, heads=2, depth=2, patch=4, image_size=8)
    plain, twice = build(host).eval(), build(recursive(host, 2)).eval()
    plain.load_state_dict(
        {name.replace(".block.branches.", ".branches."): each for name, each in twice.state_dict().items()}
    )
    images = torch.randn(2, 3, 8, 8)
    tokens = plain.position(plain.prefix(plain.stem(images)))
    for layer in plain.layers:
        tokens = layer(layer(tokens))
    assert torch.equal(twice(images), plain.head(tokens))


@pytest.mark.parametrize(
    ("name", "switches", "count"),
    [
        ("psvit_1d_tiny", {}, 2),
        ("psvit_2d_tiny", {}, 2),
        ("pit_tiny", {}, 2),
        ("swin_tiny", {"depths": (1, 1, 1, 1)}, 3),
    ],
)
def test_pools_stay_wherever_they_stand_and_all_else_recurs(name: str, switches: dict, count: int) -> None:
    host = config(name, **switches)
    twice = recursive(host, 2)
    assert cost(twice).parameters == cost(host).parameters
    pools = [layer for layer in twice.layers if not isinstance(layer, Recursive)]
    assert len(pools) == count
    assert not any(isinstance(layer, Block) for layer in pools)
    assert twice.shapes()[-1] == host.shapes()[-1]


def test_a_named_recursive_model_takes_the_number_of_turns_as_a_switch() -> None:
    assert config("deit_tiny_recursive") == recursive(config("deit_tiny"), 2)
    assert config("deit_tiny_recursive", times=3, between=NLL) == recursive(config("deit_tiny"), 3, NLL)
    assert config("deit_tiny_recursive").source == "ours"


def test_a_model_without_plain_blocks_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        recursive(config("sret_tiny"), 2)
    assert str(refused.value) == "recursive: no layer is a plain Block that could be applied again"


@pytest.mark.parametrize("one_projection", [False, True])
def test_a_small_network_of_many_turns_trains_with_checkpoints_as_without(one_projection: bool) -> None:
    described = extremely_deep(
        image=ImageShape(3, 8, 8),
        classes=3,
        width=16,
        heads=2,
        blocks=2,
        times=40,
        patch=4,
        one_projection=one_projection,
    )
    model, images = build(described).double(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model(images).square().sum().backward()
        gradients.append([each.grad.clone() for each in model.parameters()])
    assert all(each.isfinite().all() and each.any() for each in gradients[0])
    torch.testing.assert_close(*gradients)
