import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.errors import ConfigError
from vitreous.parts import GridTable, LearnedTable, Sinusoid1D, Sinusoid2D, Table, Tokens, TokenShape


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


SHAPE = TokenShape(8, (3, 4), prefix=1)


def given_by(table: Table, shape: TokenShape = SHAPE) -> Tensor:
    module = table.build(shape)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
        value: Tensor = module(Tokens(torch.zeros(2, shape.tokens, shape.width), shape.grid, shape.prefix))
    return value


@pytest.mark.parametrize(
    "table", [LearnedTable(), GridTable(), GridTable((2, 2)), Sinusoid1D(), Sinusoid2D()]
)
@pytest.mark.parametrize("shape", [SHAPE, TokenShape(8, (2, 2)), TokenShape(4, (1, 5), prefix=2)], ids=str)
def test_a_table_has_one_vector_for_each_token_and_no_batch(table: Table, shape: TokenShape) -> None:
    assert given_by(table, shape).shape == (1, shape.tokens, shape.width)


@pytest.mark.parametrize("width", [8, 7])
def test_the_first_sinusoid_counts_all_tokens_the_prefix_first(width: int) -> None:
    table = given_by(Sinusoid1D(), TokenShape(width, (3, 4), prefix=1))[0]
    for place in range(13):
        for channel in range(width):
            angle = place / 10000 ** (2 * (channel // 2) / width)
            expected = math.cos(angle) if channel % 2 else math.sin(angle)
            assert table[place, channel].item() == pytest.approx(expected, abs=1e-6)


def test_the_first_sinusoid_compares_tokens_by_their_distance_alone() -> None:
    table = given_by(Sinusoid1D())[0]
    products = table @ table.T
    for distance in range(13):
        of_pairs = products.diagonal(distance)
        torch.testing.assert_close(of_pairs, of_pairs[:1].expand_as(of_pairs))


def test_the_second_sinusoid_counts_columns_then_rows_and_is_zero_for_the_prefix() -> None:
    width, rows, columns = 12, 3, 4
    table = given_by(Sinusoid2D(), TokenShape(width, (rows, columns), prefix=2))[0]
    assert not table[:2].any()
    for row in range(rows):
        for column in range(columns):
            expected = []
            for place in (column, row):
                for pair in range(width // 4):
                    angle = place * 10000 ** (-2 * pair / (width / 2))
                    expected += [math.sin(angle), math.cos(angle)]
            assert table[2 + row * columns + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_sinusoids_learn_nothing_and_stand_in_no_file() -> None:
    for table in (Sinusoid1D(), Sinusoid2D()):
        module = table.build(SHAPE)
        assert not list(module.parameters()) and not module.state_dict()


def test_a_width_that_four_does_not_divide_is_refused_by_the_second_sinusoid_alone() -> None:
    Sinusoid1D().build(TokenShape(10, (2, 2)))
    for width, message in ((10, "8 and 12 do"), (3, "4 and 4 do")):
        with pytest.raises(ConfigError) as refused:
            Sinusoid2D().build(TokenShape(width, (2, 2)))
        assert (
            str(refused.value)
            == f"Sinusoid2D: it needs a width that 4 divides and this is {width}; {message}"
        )


def test_tables_of_a_grid_are_refused_for_a_line_and_the_others_are_not() -> None:
    line = TokenShape(8, None, prefix=1, sequence=6)
    for of_a_line in (LearnedTable(), Sinusoid1D()):
        assert given_by(of_a_line, line).shape == (1, 7, 8)
    for of_a_grid in (GridTable(), Sinusoid2D()):
        with pytest.raises(ConfigError, match=f"{type(of_a_grid).__name__}: it needs rows and columns"):
            of_a_grid.build(line)


def test_a_grid_table_of_the_grids_own_size_is_the_map_row_by_row_behind_the_prefix() -> None:
    module = GridTable().build(SHAPE)
    torch.nn.init.normal_(module.weight)
    torch.nn.init.normal_(module.prefix)
    table = module(Tokens(torch.zeros(1, 13, 8), (3, 4), prefix=1))
    assert torch.equal(table[0, 0], module.prefix[0, 0])
    assert torch.equal(table[0, 1 + 2 * 4 + 3], module.weight[0, :, 2, 3])


def test_a_grid_table_of_another_size_is_resized_between_the_centres_of_its_cells() -> None:
    module = GridTable((6, 2)).build(SHAPE)
    torch.nn.init.normal_(module.weight)
    table = module(Tokens(torch.zeros(1, 13, 8), (3, 4), prefix=1))[0, 1:].T.unflatten(1, (3, 4))
    # Twice as many rows as the grid has: each is the mean of two. Half as many columns: 1, 3/4, 1/4 and 0.
    rows = module.weight[0].unflatten(1, (3, 2)).mean(2)
    left, right = rows[..., 0], rows[..., 1]
    expected = torch.stack((left, 0.75 * left + 0.25 * right, 0.25 * left + 0.75 * right, right), dim=2)
    torch.testing.assert_close(table, expected)
    assert torch.equal(
        table[None], F.interpolate(module.weight, (3, 4), mode="bilinear", align_corners=False)
    )


def test_a_grid_table_can_leave_the_prefix_without_a_place() -> None:
    module = GridTable(prefix=False).build(SHAPE)
    torch.nn.init.normal_(module.weight)
    assert [name for name, _ in module.named_parameters()] == ["weight"]
    assert not module(Tokens(torch.zeros(1, 13, 8), (3, 4), prefix=1))[0, 0].any()


@pytest.mark.parametrize("table", [LearnedTable(), GridTable((2, 2)), Sinusoid1D(), Sinusoid2D()])
def test_a_table_refuses_tokens_of_another_grid_even_of_equal_number(table: Table) -> None:
    module = table.build(TokenShape(8, (2, 6), 1))
    with pytest.raises(ConfigError) as refused:
        module(Tokens(torch.zeros(1, 13, 8), (3, 4), prefix=1))
    assert str(refused.value) == (
        f"{type(table).__name__}: the position table is for a grid of 2×6 tokens and the images give 3×4 "
        "tokens; resize the images to the size that the model was built for, or build it for this size"
    )


@pytest.mark.parametrize("table", [LearnedTable(), GridTable(), GridTable(prefix=False)])
def test_no_table_is_decayed(table: Table) -> None:
    module = table.build(SHAPE)
    assert {name for name, _ in module.named_parameters()} == set(module.WITHOUT_DECAY)
