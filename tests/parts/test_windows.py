import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts import (
    Attention,
    Block,
    CarryPosition,
    ChannelSplit,
    ClassToken,
    DepthwiseConv,
    LaPE,
    LearnedTable,
    Mix,
    Part,
    RelativePosition,
    SharedAttention,
    Sliced,
    TokenMLP,
    Tokens,
    TokenShape,
    Windows,
)
from vitreous.parts.windows import apart, fold, unfold

SHAPE = TokenShape(8, (4, 6))


def tokens(grid: tuple[int, int] = (4, 6), batch: int = 2) -> Tokens:
    return Tokens(torch.randn(batch, grid[0] * grid[1], 8, dtype=torch.double), grid)


def built(described: Windows, shape: TokenShape = SHAPE) -> nn.Module:
    module = described.build(shape).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


@pytest.mark.parametrize(("grid", "window"), [((4, 4), 4), ((4, 6), 6), ((4, 6), 9)])
def test_a_window_as_large_as_the_grid_is_the_mixer_itself_with_or_without_a_shift(grid, window) -> None:
    given, shape = tokens(grid), TokenShape(8, grid)
    for shift in (0, 1, 3):
        module = built(Windows(Attention(2, relative=RelativePosition()), window, shift), shape)
        plain = Attention(2, relative=RelativePosition()).build(shape).double()
        plain.load_state_dict(module.mixer.state_dict())
        torch.testing.assert_close(module(given.x, given)[0], plain(given.x, given)[0])


def test_windows_of_one_token_let_no_tokens_meet() -> None:
    module, given = built(Windows(Attention(2), 1)), tokens()
    alone = module.mixer(given.x.flatten(0, 1)[:, None], given)[0]
    torch.testing.assert_close(module(given.x, given)[0], alone.unflatten(0, (2, 24))[:, :, 0])


def test_folding_cuts_the_image_row_by_row_and_unfolding_undoes_it() -> None:
    image = torch.arange(2 * 4 * 6.0).reshape(2, 4, 6, 1)
    windows = fold(image, (2, 2))
    assert windows[0].flatten().tolist() == [0, 1, 6, 7]
    assert windows[1].flatten().tolist() == [2, 3, 8, 9]
    assert windows[3].flatten().tolist() == [12, 13, 18, 19]
    assert windows[6].flatten().tolist() == [24, 25, 30, 31]
    assert torch.equal(unfold(windows, (4, 6), (2, 2)), image)


@pytest.mark.parametrize("shift", [0, 1])
def test_windows_are_attention_of_the_whole_grid_under_the_mask_same_window_and_same_side(shift: int) -> None:
    module, given = built(Windows(Attention(2), 2, shift)), tokens()
    rows, columns = torch.arange(4).repeat_interleave(6), torch.arange(6).repeat(4)
    # Windows that begin at −shift: the edges of the grid cut some of them short.
    window = (rows + 2 - shift) // 2 * 10 + (columns + 2 - shift) // 2
    mask = torch.where(window[:, None] == window[None], 0.0, -torch.inf)[None, None].double()
    plain = Attention(2).build(SHAPE).double()
    plain.load_state_dict(module.mixer.state_dict())
    expected = plain(given.x, Tokens(given.x, (4, 6), bias=mask))[0]
    torch.testing.assert_close(module(given.x, given)[0], expected)


def test_a_shift_moves_only_along_sides_of_more_than_one_window() -> None:
    assert apart((2, 2), (2, 2), (0, 0)) is None
    tall, given = built(Windows(Attention(2), 2, 1), TokenShape(8, (4, 2))), tokens((4, 2))
    # Windows of rows 1 and 2 and, each by itself, of the rows at the edges.
    middle, edges = given.x[:, 2:6], (given.x[:, :2], given.x[:, 6:])
    expected = [tall.mixer(each, given)[0] for each in (edges[0], middle, edges[1])]
    torch.testing.assert_close(tall(given.x, given)[0], torch.cat(expected, dim=1))


@pytest.mark.parametrize("mixer", [DepthwiseConv(3), TokenMLP(4)])
def test_what_has_no_scores_works_in_windows_that_are_not_shifted(mixer) -> None:
    given, module = tokens(), built(Windows(mixer, 2))
    changed = given.x.clone()
    changed[:, [0, 1, 6, 7]] += 1  # the first window
    same = module(given.x, given)[0] == module(changed, given)[0]
    assert not same[:, [0, 1, 6, 7]].all() and same[:, [*range(2, 6), *range(8, 24)]].all()
    with pytest.raises(ConfigError, match=r"it has no scores .*; Windows without a shift work"):
        built(Windows(mixer, 2, shift=1))(given.x, given)


def test_the_mask_tells_apart_what_a_shift_has_brought_together() -> None:
    mask = apart((4, 4), (2, 2), (1, 1))
    assert torch.equal(mask[0], torch.zeros(4, 4))  # nothing wraps in the first window
    left, right = torch.tensor([0.0, -100, 0, -100]), torch.tensor([-100.0, 0, -100, 0])
    assert torch.equal(mask[1], torch.stack((left, right, left, right)))
    assert torch.equal(mask[3], (torch.eye(4) - 1) * 100)


@pytest.mark.parametrize("shift", [0, 1])
def test_another_grid_at_run_time_is_as_if_built_for_it(shift: int) -> None:
    module, other = built(Windows(Attention(2), 2, shift)), TokenShape(8, (6, 2))
    for_it, given = Windows(Attention(2), 2, shift).build(other).double(), tokens((6, 2))
    for_it.load_state_dict(module.state_dict())
    torch.testing.assert_close(module(given.x, given)[0], for_it(given.x, given)[0])
    odd = tokens((3, 4))
    with pytest.raises(ConfigError, match="a grid of 3×4 tokens does not divide into windows of 2×2"):
        module(odd.x, odd)


@pytest.mark.parametrize("shift", [0, 1])
def test_attention_is_shared_between_windows_at_the_same_places(shift: int) -> None:
    lending = Mix(Windows(Attention(2, lends=True), 2, shift))
    using = Mix(Windows(SharedAttention(2), 2, shift))
    block = Block((lending, Mix(Windows(DepthwiseConv(3), 2)), using)).build(SHAPE).double()
    last, given = block.branches[2], tokens()
    # With its own map and values, attention gives what the sharing layer does.
    middle = block.branches[1](block.branches[0](given))
    own = Windows(Attention(2), 2, shift).build(SHAPE).double()
    lender = block.branches[0].mixer.mixer
    with torch.no_grad():
        own.mixer.qkv.weight[:16] = lender.qkv.weight[:16]
        own.mixer.qkv.bias[:16] = lender.qkv.bias[:16]
        own.mixer.qkv.weight[16:] = last.mixer.mixer.value.weight
        own.mixer.qkv.bias[16:] = last.mixer.mixer.value.bias
        own.mixer.project.load_state_dict(last.mixer.mixer.project.state_dict())
    # Equal inputs give equal maps: the sharing layer is handed what the lender was given.
    at_lender = block.branches[0].norm(given.x)
    shared, _ = last.mixer(at_lender, middle)
    torch.testing.assert_close(shared, own(at_lender, given)[0])


@pytest.mark.parametrize("slices", [(2,), (2, 2)])
def test_slices_inside_windows_and_shifted_windows_give_an_attention_each(slices: tuple[int, ...]) -> None:
    module, given = built(Windows(Sliced(Attention(2), slices), 2, shift=1)), tokens()
    mixed, left = module.eval()(given.x, given)
    assert mixed.shape == given.x.shape and left.grid == (4, 6) and left.bias is None


def test_its_cost_is_one_window_times_their_number() -> None:
    one = Attention(2).macs(TokenShape(8, (2, 2)))
    assert Windows(Attention(2), 2, 1).macs(SHAPE) == one * 6


def test_a_mixer_that_does_not_lend_leaves_what_was_lent_before() -> None:
    before = Attention(2, lends=True).out_shape(SHAPE)
    assert Windows(DepthwiseConv(3), 2).out_shape(before) == before


@pytest.mark.parametrize(
    ("part", "shape", "message"),
    [
        (
            Mix(Windows(Attention(2), 4)),
            TokenShape(8, (14, 6)),
            "Windows: a grid of 14×6 tokens does not divide into windows of 4×4; windows of 1, 2 do",
        ),
        (
            Block((ClassToken(), Mix(Windows(Attention(2), 2)))),
            SHAPE,
            "Windows: the 1 tokens before the grid stand in no window; NoPrefix() with a MeanHead does "
            "without them",
        ),
        (
            Mix(Windows(Attention(2), 2, 2)),
            SHAPE,
            "Windows: a shift of 2 is no part of a window of 2; 0 to 1 is",
        ),
        (
            Mix(Windows(Windows(Attention(2), 1), 2)),
            SHAPE,
            "Windows: windows of 1 inside windows of 2 are not needed; the smaller ones alone mix the same "
            "tokens",
        ),
        (
            Mix(Windows(Attention(2), 2)),
            TokenShape(8, None, sequence=24),
            "Windows: it needs rows and columns",
        ),
        (
            Block((CarryPosition(LearnedTable()), Mix(Windows(LaPE(Attention(2)), 2)))),
            SHAPE,
            "Windows: a window has no position, and attention only from layers in the same windows: LaPE: no "
            "position is carried here",
        ),
        (
            Block((Mix(Windows(Attention(2, lends=True), 2)), Mix(Windows(SharedAttention(2), 2, 1)))),
            SHAPE,
            "Windows: a window has no position, and attention only from layers in the same windows: "
            "SharedAttention: no layer before it lends its attention",
        ),
        (
            Block((Mix(Windows(Attention(2, lends=True), 2)), Mix(SharedAttention(2)))),
            SHAPE,
            "SharedAttention: the lent map has 2 heads over 4 tokens, in slices (2, 0), and 2 heads over 24",
        ),
    ],
)
def test_what_windows_cannot_do_is_refused_with_what_works(
    part: Part, shape: TokenShape, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        part.build(shape)
    assert str(refused.value).startswith(message)


def test_windows_hidden_inside_shifted_windows_are_refused_when_they_run() -> None:
    module, given = built(Windows(ChannelSplit(((8, Windows(Attention(2), 1)),)), 2, shift=1)), tokens()
    with pytest.raises(ConfigError, match="they cannot stand inside windows that are shifted"):
        module(given.x, given)
