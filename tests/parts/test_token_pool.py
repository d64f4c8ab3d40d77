import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts import GridPool, Lent, LinePool, SharedAttention, Tokens, TokenShape

SHAPE = TokenShape(6, (4, 5), prefix=2)


def tokens(count: int = 20) -> Tokens:
    return Tokens(torch.randn(3, 2 + count, 6), (4, 5), prefix=2)


def identity(linear: nn.Linear) -> None:
    with torch.no_grad():
        linear.weight.copy_(torch.eye(*linear.weight.shape))
        linear.bias.zero_()


def test_it_is_the_strided_convolution_of_the_grid() -> None:
    for kernel, depthwise in ((3, False), (5, False), (3, True)):
        module, given = GridPool(12, kernel, depthwise=depthwise).build(SHAPE), tokens()
        features = given.x[:, 2:].reshape(3, 4, 5, 6).permute(0, 3, 1, 2)
        conv = module.conv
        expected = nn.functional.conv2d(
            features, conv.weight, conv.bias, 2, kernel // 2, groups=6 if depthwise else 1
        )
        pooled = module(given)
        assert pooled.grid == (2, 3)
        torch.testing.assert_close(pooled.x[:, 2:], expected.flatten(2).transpose(1, 2))


def test_with_a_kernel_of_one_and_no_stride_nothing_changes() -> None:
    module, given = GridPool(6, kernel=1, stride=1).build(SHAPE), tokens()
    with torch.no_grad():
        module.conv.weight.copy_(torch.eye(6)[:, :, None, None])
        module.conv.bias.zero_()
    identity(module.prefix)
    torch.testing.assert_close(module(given).x, given.x)


@pytest.mark.parametrize(("side", "pooled"), [(28, 14), (14, 7), (7, 4), (4, 2), (2, 1), (1, 1)])
def test_an_odd_side_loses_no_token(side: int, pooled: int) -> None:
    shape = TokenShape(4, (side, side))
    given = Tokens(torch.randn(1, side**2, 4), (side, side))
    assert GridPool(4).out_shape(shape).grid == GridPool(4).build(shape)(given).grid == (pooled, pooled)
    shape = TokenShape(4, None, sequence=side)
    assert LinePool(4).out_shape(shape).sequence == pooled


@pytest.mark.parametrize("pool", [GridPool(9), LinePool(9), LinePool(9, average=True)], ids=repr)
def test_prefix_tokens_get_a_linear_map_and_neither_give_nor_take(pool) -> None:
    module, given = pool.build(SHAPE), tokens()
    linear = module.prefix if isinstance(pool, GridPool) else module.project
    torch.testing.assert_close(module(given).x[:, :2], linear(given.x[:, :2]))
    other = given.x.clone()
    other[:, :2] += 1
    assert torch.equal(module(Tokens(other, (4, 5), 2)).x[:, 2:], module(given).x[:, 2:])
    other = given.x.clone()
    other[:, 2:] += 1
    assert torch.equal(module(Tokens(other, (4, 5), 2)).x[:, :2], module(given).x[:, :2])


def test_without_a_prefix_there_is_no_map_for_it() -> None:
    assert GridPool(8).build(TokenShape(6, (4, 5))).prefix is None


@pytest.mark.parametrize(
    ("pool", "shape", "message"),
    [
        (GridPool(8, kernel=4), SHAPE, "GridPool: a kernel of 4 has no middle; 3 or 5 has"),
        (
            GridPool(8, depthwise=True),
            SHAPE,
            "GridPool: a depthwise convolution makes multiples of 6 channels and 8 is none; 6 and 12 are",
        ),
        (
            GridPool(8),
            LinePool(8).out_shape(SHAPE),
            "GridPool: it needs rows and columns, and the tokens are a plain sequence here, as after a "
            "LinePool, in slices, or transposed; a GridPool keeps the grid",
        ),
    ],
)
def test_what_cannot_be_pooled_is_refused(pool, shape, message) -> None:
    with pytest.raises(ConfigError) as refused:
        pool.build(shape)
    assert str(refused.value) == message


def test_each_window_gives_the_maximum_of_its_mapped_tokens() -> None:
    module, given = LinePool(9, window=4).build(SHAPE), tokens()
    pooled, mapped = module(given), module.project(given.x)
    assert pooled.grid is None
    assert pooled.x.shape == (3, 2 + 5, 9)
    for window in range(5):
        expected = mapped[:, 2 + 4 * window : 6 + 4 * window].max(dim=1).values
        torch.testing.assert_close(pooled.x[:, 2 + window], expected)


@pytest.mark.parametrize("average", [False, True])
def test_a_window_of_one_changes_no_token(average: bool) -> None:
    module, given = LinePool(6, window=1, average=average).build(SHAPE), tokens()
    identity(module.project)
    torch.testing.assert_close(module(given).x, given.x)


@pytest.mark.parametrize("average", [False, True])
def test_a_window_as_large_as_the_line_leaves_one_token(average: bool) -> None:
    for window in (20, 21, 100):
        module, given = LinePool(6, window, average).build(SHAPE), tokens()
        identity(module.project)
        line = given.x[:, 2:]
        expected = line.mean(dim=1) if average else line.amax(dim=1)
        assert LinePool(6, window).out_shape(SHAPE).tokens == 3
        torch.testing.assert_close(module(given).x[:, 2], expected)


def test_the_mean_before_the_map_is_the_mean_after_it() -> None:
    for count, window in ((20, 2), (13, 2), (13, 5)):
        module, given = LinePool(9, window, average=True).build(SHAPE).double(), tokens(count)
        given = Tokens(given.x.double(), None, 2)
        mapped = module.project(given.x)[:, 2:]
        expected = torch.stack([each.mean(dim=1) for each in mapped.split(window, dim=1)], dim=1)
        torch.testing.assert_close(module(given).x[:, 2:], expected, rtol=0, atol=1e-14)


def test_the_mean_first_costs_a_window_less() -> None:
    shape = TokenShape(6, None, sequence=20)
    assert LinePool(9).macs(shape).total == 20 * 6 * 9
    assert LinePool(9, average=True).macs(shape).total == 10 * 6 * 9


@pytest.mark.parametrize("average", [False, True])
def test_thirteen_tokens_become_seven_and_the_last_counts_alone(average: bool) -> None:
    shape = TokenShape(6, None, prefix=1, sequence=13)
    module = LinePool(6, average=average).build(shape)
    identity(module.project)
    given = Tokens(torch.randn(2, 14, 6), None, 1)
    pooled = module(given).x
    assert pooled.shape[1] == LinePool(6).out_shape(shape).tokens == 1 + 7
    assert torch.equal(pooled[:, -1], given.x[:, -1])


@pytest.mark.parametrize("average", [False, True])
def test_the_order_inside_a_window_makes_no_difference(average: bool) -> None:
    module, given = LinePool(9, average=average).build(SHAPE), tokens()
    swapped = torch.cat((given.x[:, :2], given.x[:, 2:].unflatten(1, (10, 2)).flip(2).flatten(1, 2)), dim=1)
    torch.testing.assert_close(module(Tokens(swapped, (4, 5), 2)).x, module(given).x)
    across = given.x[:, [0, 1, 2, 4, 3, *range(5, 22)]]  # the second and the third token of the line
    assert not torch.allclose(module(Tokens(across, (4, 5), 2)).x, module(given).x)


def test_windows_straddle_rows_only_from_the_second_pool_on() -> None:
    rows = torch.eye(14).repeat_interleave(14, dim=0)[None]  # each token says which row it comes from
    given, straddling = Tokens(rows, (14, 14)), []
    shape = TokenShape(14, (14, 14))
    for _ in range(2):
        pool = LinePool(14)
        module = pool.build(shape)
        identity(module.project)
        given, shape = module(given), pool.out_shape(shape)
        straddling.append((shape.tokens, int((given.x[0].sum(dim=1) > 1).sum())))
    assert straddling == [(98, 0), (49, 7)]


@pytest.mark.parametrize(
    "pool", [GridPool(6), GridPool(6, kernel=1, stride=1), LinePool(6), LinePool(6, window=1)], ids=repr
)
def test_neither_position_nor_attention_outlives_a_pool_even_of_as_many_tokens(pool) -> None:
    shape = TokenShape(6, (4, 5), 2, position=6, lent=Lent(2, 22))
    after = pool.out_shape(shape)
    assert (after.position, after.lent) == (None, None)
    with pytest.raises(ConfigError, match="a pool ends sharing, since the number of tokens changes"):
        SharedAttention(2).build(after)
    given = tokens()
    carrying = Tokens(given.x, (4, 5), 2, position=torch.zeros(1, 22, 6), shared=(torch.zeros(3, 2, 22, 22),))
    pooled = pool.build(shape)(carrying)
    assert (pooled.position, pooled.shared) == (None, ())
