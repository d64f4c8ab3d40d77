import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import Attention, Mix, Tokens, TokenShape

SHAPE = TokenShape(12, (2, 3), prefix=1)


def tokens(batch: int = 2) -> Tokens:
    return Tokens(torch.randn(batch, 7, 12), (2, 3), prefix=1)


def test_one_token_attends_to_itself() -> None:
    module = Attention(3).build(TokenShape(12, (1, 1)))
    y = torch.randn(2, 1, 12)
    value = y @ module.qkv.weight[24:].T + module.qkv.bias[24:]
    mixed, _ = module(y, Tokens(y, (1, 1)))
    torch.testing.assert_close(mixed, value @ module.project.weight.T + module.project.bias)


def test_without_queries_every_token_gets_the_mean_of_the_values() -> None:
    module = Attention(3).build(SHAPE)
    with torch.no_grad():
        module.qkv.weight[:12] = 0
        module.qkv.bias[:12] = 0
    given = tokens()
    mixed, _ = module(given.x, given)
    value = (given.x @ module.qkv.weight[24:].T + module.qkv.bias[24:]).mean(1, keepdim=True)
    torch.testing.assert_close(
        mixed, (value @ module.project.weight.T + module.project.bias).expand_as(mixed)
    )


def test_attention_does_not_know_the_order_of_tokens() -> None:
    module, given, order = Attention(3).build(SHAPE), tokens(), torch.randperm(7)
    mixed, _ = module(given.x, given)
    shuffled, _ = module(given.x[:, order], given)
    torch.testing.assert_close(shuffled, mixed[:, order])


def test_attention_is_lent_only_where_it_is_asked_for() -> None:
    given = tokens()
    assert Mix(Attention(3)).build(SHAPE)(given).shared == ()
    kept = Mix(Attention(3, lends=True)).build(SHAPE)(given).shared
    assert len(kept) == 1 and kept[0].shape == (2, 3, 7, 7)
    torch.testing.assert_close(kept[0].sum(-1), torch.ones(2, 3, 7))


def test_lending_does_not_change_the_result() -> None:
    given = tokens()
    plain, lending = Attention(3).build(SHAPE), Attention(3, lends=True).build(SHAPE)
    lending.load_state_dict(plain.state_dict())
    torch.testing.assert_close(lending(given.x, given)[0], plain(given.x, given)[0])


def test_heads_that_do_not_divide_the_width_are_refused_and_nearest_ones_named() -> None:
    with pytest.raises(ConfigError) as refused:
        Attention(12).build(TokenShape(250, (2, 2)))
    assert str(refused.value) == "Attention: a width of 250 does not divide into 12 heads; 2, 5, 10 heads do"
