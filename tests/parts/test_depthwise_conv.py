import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import DepthwiseConv, Tokens, TokenShape

SHAPE = TokenShape(6, (4, 5), prefix=2)


def tokens() -> Tokens:
    return Tokens(torch.randn(3, 22, 6), (4, 5), prefix=2)


def test_a_kernel_with_a_one_in_its_middle_is_the_identity() -> None:
    module, given = DepthwiseConv(3).build(SHAPE), tokens()
    with torch.no_grad():
        module.conv.weight.zero_()[:, :, 1, 1] = 1
    torch.testing.assert_close(module(given.x, given)[0], given.x)


def test_a_kernel_of_one_scales_each_channel() -> None:
    module, given = DepthwiseConv(1).build(SHAPE), tokens()
    mixed, _ = module(given.x, given)
    torch.testing.assert_close(mixed[:, 2:], given.x[:, 2:] * module.conv.weight.flatten())


def test_the_prefix_passes_unchanged() -> None:
    module, given = DepthwiseConv(3).build(SHAPE), tokens()
    assert torch.equal(module(given.x, given)[0][:, :2], given.x[:, :2])


def test_the_prefix_does_not_reach_the_grid() -> None:
    module, given = DepthwiseConv(3).build(SHAPE), tokens()
    other = given.x.clone()
    other[:, :2] += 1
    assert torch.equal(module(other, given)[0][:, 2:], module(given.x, given)[0][:, 2:])


def test_it_is_the_convolution_of_the_grid_row_by_row() -> None:
    module, given = DepthwiseConv(3).build(SHAPE), tokens()
    features = given.x[:, 2:].reshape(3, 4, 5, 6).permute(0, 3, 1, 2)
    expected = torch.nn.functional.conv2d(features, module.conv.weight, padding=1, groups=6)
    torch.testing.assert_close(module(given.x, given)[0][:, 2:], expected.flatten(2).transpose(1, 2))


def test_the_grid_is_that_of_the_tokens_and_not_of_the_build() -> None:
    module = DepthwiseConv(3).build(SHAPE)
    x = torch.randn(1, 2 + 21, 6)
    assert module(x, Tokens(x, (3, 7), prefix=2))[0].shape == x.shape


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ConfigError, match="a kernel of 4 would change the grid; 3 or 5 keeps it"):
        DepthwiseConv(4).build(SHAPE)


def test_tokens_that_a_bias_keeps_apart_are_refused() -> None:
    given = Tokens(torch.randn(3, 22, 6), (4, 5), prefix=2, bias=torch.zeros(1, 1, 22, 22))
    with pytest.raises(ConfigError, match="DepthwiseConv: it has no scores"):
        DepthwiseConv(3).build(SHAPE)(given.x, given)
