from dataclasses import replace

import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts import (
    Attention,
    ClassToken,
    DepthwiseConv,
    FeedForward,
    Macs,
    Mix,
    Part,
    Sliced,
    Tokens,
    TokenShape,
    Transposed,
)
from vitreous.parts.drop import set_drop_rates

SHAPE = TokenShape(6, (2, 3), prefix=1)  # 7 tokens of 6 channels


def some_tokens(batch: int = 2) -> Tokens:
    return Tokens(torch.randn(batch, 7, 6, dtype=torch.double), (2, 3), 1)


def built(part: Part, shape: TokenShape = SHAPE) -> nn.Module:
    """In float64, every weight away from its start."""
    module = part.build(shape).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


def test_a_transposed_feed_forward_norms_and_mixes_the_tokens_of_each_channel() -> None:
    module, tokens = built(Transposed(FeedForward(4))), some_tokens()
    inner = module.part
    assert (inner.norm.normalized_shape, inner.widen.weight.shape) == ((7,), (28, 7))
    expected = tokens.x.clone()
    for image in range(2):
        for channel in range(6):
            line = tokens.x[image, :, channel]
            normed = (line - line.mean()) / (line.var(unbiased=False) + 1e-6).sqrt()
            normed = normed * inner.norm.weight + inner.norm.bias
            hidden = nn.functional.gelu(inner.widen.weight @ normed + inner.widen.bias)
            expected[image, :, channel] += inner.narrow.weight @ hidden + inner.narrow.bias
    torch.testing.assert_close(module(tokens).x, expected)


def test_with_its_last_map_at_zero_it_is_the_identity() -> None:
    module, tokens = built(Transposed(FeedForward(2))), some_tokens()
    nn.init.zeros_(module.part.narrow.weight)
    nn.init.zeros_(module.part.narrow.bias)
    assert torch.equal(module(tokens).x, tokens.x)


def test_transposed_twice_is_the_part_itself() -> None:
    part, tokens = FeedForward(2), some_tokens()
    once, twice = built(part), built(Transposed(Transposed(part)))
    twice.part.part.load_state_dict(once.state_dict())
    torch.testing.assert_close(twice(tokens).x, once(tokens).x)


def test_channels_are_treated_alike_and_tokens_are_not() -> None:
    module, tokens = built(Transposed(FeedForward(4))), some_tokens()
    channels, places = torch.randperm(6), torch.arange(7).roll(1)
    exchanged = module(replace(tokens, x=tokens.x[:, :, channels])).x
    torch.testing.assert_close(exchanged, module(tokens).x[:, :, channels])
    moved = module(replace(tokens, x=tokens.x[:, places])).x
    assert (moved - module(tokens).x[:, places]).abs().max() > 0.01


def test_attention_over_features_has_a_map_of_channels_by_channels() -> None:
    module, tokens = built(Transposed(Mix(Attention(1)))), some_tokens()
    inner = module.part
    line = inner.norm(tokens.x.transpose(1, 2))  # (batch, channels, tokens)
    q, k, v = inner.mixer.qkv(line).split(7, dim=2)
    shares = (q @ k.transpose(1, 2) / 7**0.5).softmax(dim=2)
    assert shares.shape == (2, 6, 6)
    expected = tokens.x + inner.mixer.project(shares @ v).transpose(1, 2)
    torch.testing.assert_close(module(tokens).x, expected)


def test_what_travels_beside_the_tokens_passes_by() -> None:
    module = built(Transposed(Mix(Attention(1, lends=True))))
    position, shared = torch.randn(1, 7, 6), (torch.randn(2, 2, 7, 7),)
    tokens = replace(some_tokens(), position=position, shared=shared, turn=1)
    after = module(tokens)
    assert after.position is position and after.shared is shared
    assert (after.grid, after.prefix, after.turn, after.bias) == ((2, 3), 1, 1, None)


def test_tokens_leave_it_in_the_usual_layout() -> None:
    tokens = built(Transposed(FeedForward(1)))(some_tokens())
    assert tokens.x.is_contiguous()


def test_a_dropped_branch_is_dropped_for_a_whole_image() -> None:
    torch.manual_seed(0)
    module, tokens = built(Transposed(FeedForward(1))).train(), some_tokens(64)
    set_drop_rates(module, dropout=0.0, attention_dropout=0.0, drop_path=0.5)
    same = module(tokens).x == tokens.x
    by_image = same.flatten(1)
    assert set(by_image.all(dim=1).tolist()) == {True, False}
    assert torch.equal(by_image.all(dim=1), by_image.any(dim=1))


def test_macs_are_those_of_the_part_with_tokens_and_width_exchanged() -> None:
    assert Transposed(FeedForward(4)).macs(SHAPE) == Macs(maps=2 * 6 * 7 * 28)
    assert Transposed(Mix(Attention(1))).macs(SHAPE) == Macs(4 * 6 * 7**2, 2 * 6**2 * 7)


INSIDE = "Transposed: inside it are 6 tokens of 7 channels, without a grid, a position or lent attention: "


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            Mix(Attention(3)),
            f"{INSIDE}Attention: a width of 7 does not divide into 3 heads; 1, 7 heads do",
        ),
        (Mix(DepthwiseConv(3)), f"{INSIDE}DepthwiseConv: it needs rows and columns"),
        (
            ClassToken(),
            f"{INSIDE}ClassToken makes them 7 tokens of 7 channels; only a part that keeps both numbers can "
            "be turned back",
        ),
    ],
    ids=repr,
)
def test_a_part_that_cannot_work_across_channels_is_refused(part: Part, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Transposed(part).build(SHAPE)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("grid", "tokens", "given"),
    [
        ((3, 3), 10, "10 tokens (3×3 and 1 before them)"),
        ((3, 2), 7, "7 tokens (3×2 and 1 before them)"),
        ((2, 3), 6, "6 tokens (2×3)"),
    ],
)
def test_another_grid_is_refused_at_run_time(grid, tokens, given) -> None:
    module = Transposed(FeedForward(4)).build(SHAPE)
    with pytest.raises(ConfigError) as refused:
        module(Tokens(torch.zeros(1, tokens, 6), grid, 1))
    assert str(refused.value) == (
        "Transposed: each of its weights belongs to a place; it was built for 7 tokens (2×3 and 1 before "
        f"them) and the images give {given}; resize the images to the size that the model was built for, or "
        "build it for this size"
    )


def test_tokens_without_a_fixed_place_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        Transposed(FeedForward(4)).build(replace(SHAPE, shuffled=True))
    assert str(refused.value) == (
        "Transposed: each of its weights belongs to a place, and in slices that are shuffled or change in "
        "number other tokens stand there in each turn; outside the slices Transposed works"
    )


def test_behind_shuffled_slices_tokens_stand_in_their_places_again() -> None:
    shape = TokenShape(6, (2, 4))
    after = Mix(Sliced(Attention(2), (4, 2))).out_shape(shape)
    Transposed(FeedForward(4)).build(after)
