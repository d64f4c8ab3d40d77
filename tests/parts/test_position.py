import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import AddPosition, GridTable, LearnedTable, NoPosition, Tokens, TokenShape


def test_no_position_is_the_identity() -> None:
    tokens = Tokens(torch.randn(2, 5, 8), (2, 2), prefix=1)
    assert torch.equal(NoPosition().build(TokenShape(8, (2, 2), 1))(tokens).x, tokens.x)


def test_a_table_of_zeros_is_the_identity_and_else_it_is_added() -> None:
    module = AddPosition(LearnedTable()).build(TokenShape(8, (2, 2), 1))
    tokens = Tokens(torch.randn(2, 5, 8), (2, 2), prefix=1)
    assert torch.equal(module(tokens).x, tokens.x)
    torch.nn.init.normal_(module.table.weight)
    assert torch.equal(module(tokens).x, tokens.x + module.table.weight)


def test_a_table_refuses_tokens_of_another_grid_even_of_equal_number() -> None:
    module = AddPosition(LearnedTable()).build(TokenShape(8, (2, 6), 1))
    with pytest.raises(ConfigError) as refused:
        module(Tokens(torch.zeros(1, 13, 8), (3, 4), prefix=1))
    assert str(refused.value) == (
        "LearnedTable: the position table is for a grid of 2×6 tokens and the images give 3×4 tokens; "
        "resize the images to the size that the model was built for, or build it for this size"
    )


def test_a_map_may_leave_the_prefix_without_a_vector() -> None:
    module = GridTable(prefix=False).build(TokenShape(8, (2, 3), 1))
    torch.nn.init.normal_(module.weight)
    table = module(Tokens(torch.zeros(1, 7, 8), (2, 3), prefix=1))
    assert [name for name, _ in module.named_parameters()] == ["weight"]
    assert torch.equal(table[:, 0], torch.zeros(1, 8))
    assert torch.equal(table[:, 1:].transpose(1, 2).unflatten(2, (2, 3)), module.weight)
