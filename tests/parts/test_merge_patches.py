import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import LayerNorm, Lent, MergePatches, NoNorm, Tokens, TokenShape

SHAPE = TokenShape(3, (4, 6))


def tokens() -> Tokens:
    return Tokens(torch.randn(2, 24, 3), (4, 6))


def test_a_map_that_picks_a_corner_gives_every_other_token() -> None:
    module, given = MergePatches(3, norm=NoNorm()).build(SHAPE), tokens()
    for corner, (down, right) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        with torch.no_grad():
            module.reduce.weight.zero_()[:, 3 * corner : 3 * corner + 3] = torch.eye(3)
        merged = module(given)
        assert merged.grid == (2, 3)
        assert torch.equal(merged.as_map(), given.as_map()[:, :, down::2, right::2])


def test_it_is_the_strided_convolution_of_normalised_squares() -> None:
    module, given = MergePatches(5, norm=LayerNorm(1e-5)).build(SHAPE), tokens()
    squares = torch.nn.functional.unfold(given.as_map(), 2, stride=2).unflatten(1, (3, 2, 2))
    four = squares.permute(0, 4, 3, 2, 1).flatten(2)  # right, down, channel
    expected = module.reduce(torch.nn.functional.layer_norm(four, (12,)))
    torch.testing.assert_close(module(given).x, expected)


def test_position_and_lent_attention_end_here() -> None:
    shape = TokenShape(3, (4, 6), position=3, lent=Lent(1, 24))
    assert MergePatches(6).out_shape(shape) == TokenShape(6, (2, 3))
    given = Tokens(torch.randn(1, 24, 3), (4, 6), position=torch.randn(1, 24, 3), shared=(torch.ones(1),))
    merged = MergePatches(6).build(shape)(given)
    assert merged.position is None and merged.shared == ()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            TokenShape(3, (5, 6)),
            "MergePatches: a grid of 5×6 tokens does not divide into squares of 2×2; 6×6 does",
        ),
        (
            TokenShape(3, (4, 6), prefix=1),
            "MergePatches: the 1 tokens before the grid belong to no square; NoPrefix() with a MeanHead does "
            "without them, and a GridPool maps them to the new width",
        ),
        (
            TokenShape(3, None, sequence=24),
            "MergePatches: it needs rows and columns",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused_with_what_works(shape: TokenShape, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        MergePatches(6).build(shape)
    assert str(refused.value).startswith(message)


def test_an_odd_grid_at_run_time_is_refused_too() -> None:
    module = MergePatches(6).build(SHAPE)
    with pytest.raises(ConfigError, match="a grid of 3×8 tokens does not divide into squares"):
        module(Tokens(torch.zeros(1, 24, 3), (3, 8)))
