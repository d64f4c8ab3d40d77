import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts import (
    AddPosition,
    CarryPosition,
    JoinPosition,
    LearnedTable,
    NoPosition,
    Sinusoid1D,
    Tokens,
    TokenShape,
)
from vitreous.parts.drop import set_drop_rates


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


SHAPE = TokenShape(8, (2, 2), 1)


def some_tokens() -> Tokens:
    return Tokens(torch.randn(2, 5, 8), (2, 2), prefix=1)


def carrying(module: nn.Module) -> nn.Module:
    nn.init.normal_(module.table.weight)
    return module


def test_no_position_is_the_identity() -> None:
    tokens = some_tokens()
    assert torch.equal(NoPosition().build(SHAPE)(tokens).x, tokens.x)


def test_a_table_of_zeros_is_the_identity_and_else_it_is_added() -> None:
    module, tokens = AddPosition(LearnedTable()).build(SHAPE), some_tokens()
    assert torch.equal(module(tokens).x, tokens.x)
    assert torch.equal(carrying(module)(tokens).x, tokens.x + module.table.weight)


def test_a_carried_table_leaves_the_tokens_as_they_are_and_travels_beside_them() -> None:
    module, tokens = carrying(CarryPosition(LearnedTable()).build(SHAPE)), some_tokens()
    after = module(tokens)
    assert torch.equal(after.x, tokens.x) and tokens.position is None
    assert torch.equal(after.position, module.table.weight)
    assert CarryPosition(LearnedTable()).out_shape(SHAPE).position == 8


def test_the_last_table_that_was_carried_is_the_one_that_counts() -> None:
    first, second = (carrying(CarryPosition(LearnedTable()).build(SHAPE)) for _ in range(2))
    assert torch.equal(second(first(some_tokens())).position, second.table.weight)


def test_carrying_and_joining_is_adding_and_joining_twice_adds_twice() -> None:
    carry, join, tokens = CarryPosition(Sinusoid1D()), JoinPosition(), some_tokens()
    module = join.build(carry.out_shape(SHAPE))
    once = module(carry.build(SHAPE)(tokens))
    added = AddPosition(Sinusoid1D()).build(SHAPE)(tokens)
    assert torch.equal(once.x, added.x)
    torch.testing.assert_close(module(once).x, tokens.x + 2 * once.position)


def test_the_recipes_dropout_acts_on_the_sum_or_on_the_tokens_beside_a_carried_table() -> None:
    tokens = Tokens(torch.ones(2, 5, 8), (2, 2), prefix=1)
    for part, drops in (
        (AddPosition(Sinusoid1D()), True),
        (CarryPosition(Sinusoid1D()), True),
        (NoPosition(), True),
        (AddPosition(Sinusoid1D(), may_drop=False), False),
        (CarryPosition(Sinusoid1D(), may_drop=False), False),
    ):
        module = part.build(SHAPE)
        untouched = module(tokens)
        set_drop_rates(module, dropout=0.9, attention_dropout=0.0, drop_path=0.0)
        after = module(tokens)
        assert torch.equal(after.x, untouched.x) != drops
        if after.position is not None:
            assert torch.equal(after.position, untouched.position)


def test_joining_is_refused_where_nothing_fitting_is_carried() -> None:
    for shape, message in (
        (
            SHAPE,
            "JoinPosition: no position is carried here; a CarryPosition(LearnedTable()) before it, and after "
            "each pool, carries one",
        ),
        (
            TokenShape(6, (2, 2), position=8),
            "JoinPosition: the carried position has 8 channels and the tokens here have 6; put JoinPosition "
            "around the whole mixer, not inside a slice of its channels",
        ),
    ):
        with pytest.raises(ConfigError) as refused:
            JoinPosition().build(shape)
        assert str(refused.value) == message
