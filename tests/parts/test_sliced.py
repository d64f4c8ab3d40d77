"""Slices: full attention under a mask, shuffled on later turns, deterministic outside training."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.parts.test_every_part import randomized
from vitreous.errors import ConfigError
from vitreous.parts import (
    Attention,
    Block,
    CarryPosition,
    ChannelSplit,
    DepthwiseConv,
    FeedForward,
    LaPE,
    LearnedTable,
    Mix,
    Recursive,
    RelativePosition,
    SharedAttention,
    Sliced,
    TokenMLP,
    Tokens,
    TokenShape,
    Windows,
)

SHAPE = TokenShape(16, (4, 6))


def built(described: Sliced, shape: TokenShape = SHAPE) -> nn.Module:
    return randomized(described.build(shape)).double().eval()


def y(tokens: int = 24, batch: int = 3) -> Tensor:
    return torch.randn(batch, tokens, 16, dtype=torch.float64)


def mixed(module: nn.Module, given: Tensor, **others: object) -> Tensor:
    given_tokens = Tokens(given, **{"grid": (4, 6), **others})
    out: Tensor
    out, after = module(given, given_tokens)
    for name in ("grid", "prefix", "turn"):
        assert getattr(after, name) == getattr(given_tokens, name)
    return out


def masked(attention: nn.Module, given: Tensor, group: Tensor) -> Tensor:
    """Attention over all tokens of which only those of one group see each other."""
    apart = torch.zeros(24, 24, dtype=torch.float64).masked_fill(group[:, None] != group, -torch.inf)
    out: Tensor = attention(given, Tokens(given, (4, 6), bias=apart[None, None]))[0]
    return out


def test_slicing_into_one_slice_is_full_attention() -> None:
    module, given = built(Sliced(Attention(2), (1, 1))), y()
    for turn in (0, 1, 2):
        assert torch.equal(mixed(module, given, turn=turn), module.mixer(given, Tokens(given, None))[0])
    assert not list(module.buffers())


def test_the_first_turn_is_attention_under_a_mask_of_consecutive_tokens() -> None:
    module, given = built(Sliced(Attention(2), (8, 2))), y()
    expected = masked(module.mixer, given, torch.arange(24) // 3)
    torch.testing.assert_close(mixed(module, given), expected, rtol=1e-12, atol=1e-12)


def test_a_later_turn_is_attention_under_the_mask_of_its_order() -> None:
    module, given = built(Sliced(Attention(2), (8, 2))), y()
    group = torch.empty(24, dtype=torch.int64)
    group[module.order_1] = torch.arange(24) // 12  # the token at place i is order[i]
    expected = masked(module.mixer, given, group)
    torch.testing.assert_close(mixed(module, given, turn=1), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(mixed(module, given, turn=5), mixed(module, given, turn=1))


def test_an_order_and_its_inverse_are_the_identity() -> None:
    class Same(nn.Module):
        def forward(self, inside: Tensor, tokens: Tokens) -> tuple[Tensor, Tokens]:
            return inside, tokens

    module, given = built(Sliced(Attention(2), (8, 2))), y()
    module.mixer = Same()
    for training in (False, True):
        assert torch.equal(mixed(module.train(training), given, turn=1), given)


def test_one_order_serves_all_images_and_the_number_of_slices_may_grow() -> None:
    module, given = built(Sliced(Attention(2), (2, 8, 3))), y()
    for turn in (1, 2):
        together = mixed(module, given, turn=turn)
        torch.testing.assert_close(
            together[1:2], mixed(module, given[1:2], turn=turn), rtol=1e-12, atol=1e-12
        )
    assert not torch.equal(module.order_1, module.order_2)


def test_outside_training_the_order_is_fixed_by_the_seed_alone() -> None:
    module, given = built(Sliced(Attention(2), (8, 2))), y()
    first = mixed(module, given, turn=1)
    torch.manual_seed(9)
    assert torch.equal(mixed(module, given, turn=1), first)
    again, other = (Sliced(Attention(2), (8, 2), seed=seed).build(SHAPE) for seed in (1, 2))
    assert torch.equal(again.order_1, module.order_1)
    assert not torch.equal(other.order_1, module.order_1)
    assert not [name for name in module.state_dict() if "order" in name]


def test_in_training_every_call_draws_an_order_from_torchs_generator() -> None:
    module, given = built(Sliced(Attention(2), (8, 2))).train(), y()
    torch.manual_seed(4)
    first, second = (mixed(module, given, turn=1) for _ in range(2))
    torch.manual_seed(4)
    assert torch.equal(mixed(module, given, turn=1), first)
    assert not torch.equal(first, second)
    assert torch.equal(mixed(module, given), mixed(module, given))  # the first turn shuffles nothing


def test_one_number_of_slices_never_shuffles() -> None:
    module, given = built(Sliced(Attention(2), (8,))).train(), y()
    assert torch.equal(mixed(module, given, turn=3), mixed(module, given))


def test_orders_that_were_recorded_elsewhere_can_be_followed() -> None:
    module, given = built(Sliced(Attention(2), (8, 2))), y()
    module.order_1.copy_(torch.arange(24))
    unshuffled = built(Sliced(Attention(2), (2,)))
    unshuffled.load_state_dict(module.state_dict())
    assert torch.equal(mixed(module, given, turn=1), mixed(unshuffled, given))


def test_slices_divide_the_products_of_attention_and_nothing_else() -> None:
    whole = Attention(2).macs(SHAPE)
    for turn, slices in ((0, 8), (1, 2), (7, 2)):
        macs = Sliced(Attention(2), (8, 2)).macs(replace(SHAPE, turn=turn))
        assert (macs.maps, macs.attention) == (whole.maps, whole.attention // slices)


def test_slices_are_folded_into_the_batch_without_a_copy() -> None:
    class Seen(nn.Module):
        def forward(self, inside: Tensor, tokens: Tokens) -> tuple[Tensor, Tokens]:
            self.at, self.shape = inside.data_ptr(), inside.shape
            return inside, tokens

    module, given = built(Sliced(Attention(2), (8, 2))), y()
    module.mixer = Seen()
    out = mixed(module, given)
    assert module.mixer.shape == (24, 3, 16)
    assert module.mixer.at == given.data_ptr() == out.data_ptr()


def test_a_model_on_the_meta_device_has_its_orders_there_too() -> None:
    with torch.device("meta"):
        module = Sliced(Attention(2), (8, 2)).build(SHAPE)
    assert module.order_1.device.type == "meta"


@pytest.mark.parametrize(
    ("described", "shape", "message"),
    [
        (
            Sliced(Attention(2), (5,)),
            TokenShape(16, (28, 28)),
            "Sliced: 784 tokens do not split into 5 equal slices; 4, 7 and 8 do",
        ),
        (
            Sliced(Attention(2), (8, 3)),
            TokenShape(16, (4, 4)),
            "Sliced: 16 tokens do not split into 3 equal slices; 1, 2 and 4 do",
        ),
        (
            Sliced(Attention(2), (14,)),
            TokenShape(16, None, sequence=1),
            "Sliced: 1 tokens do not split into 14 equal slices; only 1 does",
        ),
        (
            Sliced(Attention(2), (4, 2)),
            TokenShape(16, (14, 14), prefix=1),
            "Sliced: 1 prefix and 196 other tokens do not make equal slices, since the prefix belongs to "
            "none; NoPrefix() with MeanHead(classes), or prefix_in_each=True, works",
        ),
        (
            Sliced(Attention(2, lends=True), (8, 2)),
            SHAPE,
            "Sliced: slices (8, 2) are shuffled, so that a later layer has other tokens in its slices and "
            "cannot share this attention; (8,) and (8, 1) are not shuffled",
        ),
    ],
    ids=["784", "later turn", "one token", "class token", "lends"],
)
def test_what_cannot_be_sliced_is_refused_with_what_can(described, shape, message) -> None:
    with pytest.raises(ConfigError) as refused:
        described.build(shape)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "mixer", [DepthwiseConv(3), Attention(2, relative=RelativePosition()), Windows(Attention(2), 2)]
)
def test_mixers_that_need_a_grid_are_refused_inside_slices(mixer) -> None:
    with pytest.raises(ConfigError, match="Sliced: a slice has no grid and no position"):
        Sliced(mixer, (4,)).build(SHAPE)


def test_images_of_another_size_are_refused_where_slices_or_their_order_do_not_fit() -> None:
    module = built(Sliced(Attention(2), (8, 2)))
    assert mixed(module, y(32), grid=(4, 8)).shape == (3, 32, 16)  # eight slices of four in the first turn
    with pytest.raises(ConfigError, match="20 tokens do not split into 8 equal slices; resize the images"):
        mixed(module, y(20), grid=(4, 5))
    with pytest.raises(
        ConfigError, match="the order outside training is of 24 tokens and the images give 32"
    ):
        mixed(module, y(32), grid=(4, 8), turn=1)


def test_position_is_carried_around_slices_and_not_into_them() -> None:
    shape = CarryPosition(LearnedTable()).out_shape(SHAPE)
    with pytest.raises(ConfigError, match=r"Sliced: a slice has no grid and no position.* LaPE:"):
        Sliced(LaPE(Attention(2)), (4, 2)).build(shape)
    module, x = randomized(LaPE(Sliced(Attention(2), (4, 2))).build(shape)), torch.randn(2, 24, 16)
    _, after = module(x, Tokens(x, (4, 6), position=torch.randn(1, 24, 16), turn=1))
    assert after.position.shape == (1, 24, 16)


@pytest.mark.parametrize("slices", [(4, 2), (4, 4), (4, 1), (2, 1)])
def test_weights_for_places_are_refused_where_other_tokens_come_to_stand_there(slices) -> None:
    with pytest.raises(ConfigError, match="TokenMLP: each of its weights belongs to a place"):
        Sliced(TokenMLP(8), slices).build(SHAPE)


def test_weights_for_places_work_in_slices_that_stay() -> None:
    module, given = built(Sliced(TokenMLP(8), (4,))), y()
    for turn in (0, 1):
        torch.testing.assert_close(
            mixed(module, given, turn=turn)[:, 6:12], module.mixer(given[:, 6:12], Tokens(given, None))[0]
        )


def test_no_slices_at_all_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        Sliced(Attention(2), ())
    assert str(refused.value) == (
        "Sliced.slices is (); it takes at least one number of slices, such as (8, 2)"
    )


def test_a_prefix_joins_every_slice_and_is_averaged() -> None:
    shape = replace(SHAPE, prefix=2)
    described = Sliced(Attention(2), (3, 2), prefix_in_each=True)
    module, given = built(described, shape), y(26)
    prefix, grid = given[:, :2], given[:, 2:]
    out = mixed(module, given, prefix=2)
    of_slices = [
        module.mixer(torch.cat((prefix, piece), dim=1), Tokens(given, None))[0]
        for piece in grid.chunk(3, dim=1)
    ]
    torch.testing.assert_close(out[:, :2], torch.stack([each[:, :2] for each in of_slices]).mean(dim=0))
    torch.testing.assert_close(out[:, 2:], torch.cat([each[:, 2:] for each in of_slices], dim=1))
    assert described.macs(shape).attention == 3 * 2 * 10**2 * 16
    assert mixed(module, given, prefix=2, turn=1).shape == given.shape


def test_a_prefix_in_one_slice_is_full_attention() -> None:
    module, given = built(Sliced(Attention(2), (1,), prefix_in_each=True), replace(SHAPE, prefix=1)), y(25)
    torch.testing.assert_close(mixed(module, given, prefix=1), module.mixer(given, Tokens(given, None))[0])


def lend_and_share(lender: tuple[int, ...], sharer: tuple[int, ...], times: int = 1) -> nn.Module:
    def layer(mixer, slices):
        return Mix(Sliced(mixer, slices) if slices else mixer)

    block = Block(
        (layer(Attention(2, lends=True), lender), FeedForward(1), layer(SharedAttention(2), sharer))
    )
    return Recursive(block, times).build(SHAPE)


@pytest.mark.parametrize("slices", [(4,), (4, 1), (1,)])
def test_attention_lent_inside_slices_is_shared_in_equal_slices(slices) -> None:
    module = randomized(lend_and_share(slices, slices, times=2))
    x = torch.randn(2, 24, 16, requires_grad=True)
    module(Tokens(x, (4, 6))).x.square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in module.parameters())


def test_shared_attention_in_slices_uses_the_map_of_each_slice() -> None:
    module = randomized(lend_and_share((4,), (4,))).double()
    lends, between, shares = module.block.branches.children()
    given = lends(Tokens(y(), (4, 6)))
    given = between(given)
    normed = shares.norm(given.x)
    out, _ = shares.mixer(normed, given)
    inner = shares.mixer.mixer
    kept = [each.unflatten(0, (3, 4)) for each in given.shared]
    for number, piece in enumerate(normed.chunk(4, dim=1)):
        shared = tuple(each[:, number].contiguous() for each in kept)
        expected, _ = inner(piece, Tokens(piece, None, shared=shared))
        torch.testing.assert_close(out.chunk(4, dim=1)[number], expected)


@pytest.mark.parametrize(
    ("lender", "sharer", "message"),
    [
        ((4,), (2,), r"24 tokens, in slices \(4,\), and 2 heads over 12 tokens are asked for"),
        ((), (4,), "24 tokens, and 2 heads over 6 tokens are asked for"),
        ((4,), (), r"24 tokens, in slices \(4,\), and 2 heads over 24 tokens are asked for"),
    ],
)
def test_attention_of_other_slices_is_refused(lender, sharer, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lend_and_share(lender, sharer)


def test_what_is_lent_outside_passes_by_slices_that_do_not_share() -> None:
    block = Block((Mix(Attention(2, lends=True)), Mix(Sliced(Attention(2), (4, 2))), Mix(SharedAttention(2))))
    module, x = randomized(block.build(SHAPE)), torch.randn(2, 24, 16)
    assert module(Tokens(x, (4, 6))).x.shape == x.shape


def test_slices_in_shifted_windows_keep_the_mask_of_their_tokens() -> None:
    described = Windows(Sliced(Attention(2), (2,)), 4, shift=2)
    module, given = built(described, TokenShape(16, (4, 8))), y(32)
    moved = given.clone()
    moved[:, 6] += 1  # the shift puts columns 6 and 7 beside 0 and 1, and two rows of them make a slice
    before, after = (module(each, Tokens(each, (4, 8)))[0] for each in (given, moved))
    changed = (before - after).abs().amax(dim=(0, 2)) > 1e-9
    assert changed.nonzero().flatten().tolist() == [6, 7, 14, 15]


def test_bias_of_a_slice_is_the_bias_between_its_tokens() -> None:
    module = built(Sliced(Attention(2), (8, 2)))
    given, bias = y(), torch.randn(3, 2, 24, 24, dtype=torch.float64)
    group = torch.empty(24, dtype=torch.int64)
    group[module.order_1] = torch.arange(24) // 12
    both = bias.masked_fill(group[:, None] != group, -torch.inf)
    expected, _ = module.mixer(given, Tokens(given, (4, 6), bias=both))
    torch.testing.assert_close(mixed(module, given, turn=1, bias=bias), expected, rtol=1e-12, atol=1e-12)


def test_slices_of_channels_beside_a_convolution() -> None:
    split = ChannelSplit(((8, DepthwiseConv(3)), (8, Sliced(Attention(2), (8, 2)))))
    module, given = randomized(split.build(SHAPE)), torch.randn(2, 24, 16)
    out, _ = module(given, Tokens(given, (4, 6), turn=1))
    assert out.shape == given.shape
