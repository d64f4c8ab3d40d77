from dataclasses import replace

import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts import Macs, Mix, Recursive, Sliced, TokenMLP, Tokens, TokenShape, Windows

SHAPE = TokenShape(5, (2, 3))


def test_every_channel_goes_through_the_same_two_maps_over_all_tokens() -> None:
    module = TokenMLP(8).build(SHAPE).double()
    y = torch.randn(2, 6, 5, dtype=torch.double)
    mixed, _ = module(y, Tokens(y, (2, 3)))
    hidden = torch.einsum("ht,btw->bhw", module.widen.weight, y) + module.widen.bias[:, None]
    expected = torch.einsum("th,bhw->btw", module.narrow.weight, nn.functional.gelu(hidden))
    torch.testing.assert_close(mixed, expected + module.narrow.bias[:, None])


def test_the_tokens_pass_through_unchanged() -> None:
    tokens = Tokens(torch.randn(2, 6, 5), (2, 3), turn=1)
    assert TokenMLP(8).build(SHAPE)(tokens.x, tokens)[1] is tokens


def test_with_a_fixed_inner_width_cost_grows_linearly_with_the_tokens() -> None:
    few, many = TokenShape(5, (4, 4)), TokenShape(5, (8, 8))
    assert TokenMLP(8).macs(few) == Macs(maps=2 * 16 * 8 * 5)
    assert TokenMLP(8).macs(many).total == 4 * TokenMLP(8).macs(few).total


def test_another_grid_is_refused_at_run_time() -> None:
    module = TokenMLP(8).build(SHAPE)
    with pytest.raises(ConfigError) as refused:
        module(torch.zeros(1, 9, 5), Tokens(torch.zeros(1, 9, 5), (3, 3)))
    assert str(refused.value) == (
        "TokenMLP: each of its weights belongs to a place; it was built for 6 tokens (2×3) and the images "
        "give 9 tokens (3×3); resize the images to the size that the model was built for, or build it for "
        "this size"
    )


def test_in_shifted_windows_whose_mask_it_could_not_keep_it_is_refused() -> None:
    shape = TokenShape(5, (4, 4))
    tokens = Tokens(torch.randn(1, 16, 5), (4, 4))
    assert Mix(Windows(TokenMLP(8), 2)).build(shape)(tokens).x.shape == (1, 16, 5)
    with pytest.raises(ConfigError, match=r"TokenMLP: it has no scores .*; Windows without a shift work"):
        Mix(Windows(TokenMLP(8), 2, shift=1)).build(shape)(tokens)


def test_equal_slices_share_the_weights_and_shuffled_ones_are_refused() -> None:
    sliced, one = Mix(Sliced(TokenMLP(8), (2,))).build(SHAPE), TokenShape(5, None, sequence=3)
    alone = Mix(TokenMLP(8)).build(one)
    alone.norm.load_state_dict(sliced.norm.state_dict())
    alone.mixer.load_state_dict(sliced.mixer.mixer.state_dict())
    x = torch.randn(2, 6, 5)
    expected = alone(Tokens(x.unflatten(1, (2, 3)).flatten(0, 1), None)).x
    torch.testing.assert_close(sliced(Tokens(x, (2, 3))).x, expected.unflatten(0, (2, 2)).flatten(1, 2))
    with pytest.raises(ConfigError, match="shuffled or change in number"):
        Recursive(Mix(Sliced(TokenMLP(8), (2, 3))), 2).build(SHAPE)
    with pytest.raises(ConfigError, match="outside the slices TokenMLP works"):
        TokenMLP(8).build(replace(SHAPE, shuffled=True))
