import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import Attention, Block, FeedForward, LayerNorm, Mix, Tokens, TokenShape

SHAPE = TokenShape(8, (2, 3), prefix=1)


def tokens() -> Tokens:
    return Tokens(torch.randn(2, 7, 8), (2, 3), prefix=1)


def test_a_block_without_branches_is_the_identity() -> None:
    given = tokens()
    assert Block(()).build(SHAPE)(given) is given


def test_the_order_of_branches_is_the_order_of_the_tuple() -> None:
    block = Block((FeedForward(2), Mix(Attention(2)))).build(SHAPE)
    given = tokens()
    assert torch.equal(block(given).x, block.branches[1](block.branches[0](given)).x)


def test_feed_forward_is_its_equation() -> None:
    module = FeedForward(2.5, norm=LayerNorm(0.1)).build(SHAPE)
    x = tokens().x
    normed = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 0.1).sqrt()
    inside = normed @ module.widen.weight.T + module.widen.bias
    gelu = 0.5 * inside * (1 + torch.erf(inside / 2**0.5))
    expected = x + gelu @ module.narrow.weight.T + module.narrow.bias
    assert module.widen.out_features == 20
    torch.testing.assert_close(module(Tokens(x, (2, 3), 1)).x, expected)


def test_feed_forward_treats_each_token_by_itself() -> None:
    module = FeedForward(2).build(SHAPE)
    given = tokens()
    order = torch.randperm(7)
    shuffled = module(Tokens(given.x[:, order], (2, 3), 1)).x
    torch.testing.assert_close(shuffled, module(given).x[:, order])


def test_a_ratio_that_leaves_no_channel_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a ratio of 0\.1 leaves no channel of 8; 0\.12 and more do"):
        FeedForward(0.1).build(SHAPE)
