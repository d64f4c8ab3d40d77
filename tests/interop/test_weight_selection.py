"""A smaller model taken out of a larger one."""

import pytest
import torch
from torch import Tensor

from vitreous.errors import ConfigError
from vitreous.interop.weight_selection import select
from vitreous.models import build, config


def weights(width: int, depth: int, heads: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(width + depth)
    return build(
        config("deit_tiny", width=width, heads=heads, depth=depth, patch=4, image_size=16, classes=3)
    ).state_dict()


def test_of_an_equal_model_all_weights_are_taken_as_they_are() -> None:
    same = weights(16, 2)
    for name, each in select(same, same).items():
        assert torch.equal(each, same[name]), name


def test_of_a_model_whose_channels_stand_twice_each_is_taken_once() -> None:
    small, large = weights(8, 2), weights(16, 2)
    doubled = {
        name: torch.kron(
            each, torch.ones([big // each.shape[place] for place, big in enumerate(large[name].shape)])
        )
        for name, each in small.items()
    }
    for name, each in select(doubled, small).items():
        assert torch.equal(each, small[name]), name


def test_layers_are_the_first_ones_and_a_deeper_layer_is_left_out() -> None:
    small, large = weights(16, 2), weights(16, 5)
    selected = select(large, small)
    assert selected.keys() == small.keys()
    assert torch.equal(
        selected["layers.1.branches.1.widen.weight"], large["layers.1.branches.1.widen.weight"]
    )


@pytest.mark.parametrize(("width", "heads"), [(16, 2), (12, 2), (10, 1)])
def test_queries_keys_and_values_stay_apart(width: int, heads: int) -> None:
    small, large = weights(width, 1, heads), weights(24, 1)
    name = "layers.0.branches.0.mixer.qkv.weight"
    large[name] = torch.arange(3.0).repeat_interleave(24)[:, None].expand(72, 24).contiguous()
    assert torch.equal(select(large, small)[name][:, 0], torch.arange(3.0).repeat_interleave(width))


def test_a_smaller_model_cannot_give_a_larger_one() -> None:
    with pytest.raises(
        ConfigError, match=r"stem.conv.weight is \(8, 3, 4, 4\) in the larger model and \(16, 3"
    ):
        select(weights(8, 2), weights(16, 2))
