"""The stem of strided convolutions: sizes, cost, and what each convolution is followed by."""

import pytest
import torch
import torch.nn.functional as F

from vitreous.errors import ConfigError
from vitreous.parts import ConvStem, ImageShape


def test_each_convolution_halves_the_image_and_an_odd_side_is_rounded_up() -> None:
    stem = ConvStem((4, 6, 6))
    for size, grid in [((224, 224), (28, 28)), ((30, 31), (4, 4)), ((33, 1), (5, 1))]:
        image = ImageShape(3, *size)
        assert stem.out_shape(image).grid == grid
        tokens = stem.build(image).eval()(torch.randn(1, 3, *size))
        assert tokens.grid == grid
        assert tokens.x.shape == (1, grid[0] * grid[1], 6)


def test_it_is_convolution_batch_norm_and_relu_one_after_the_other() -> None:
    image = torch.randn(4, 3, 12, 10)
    module = ConvStem((5, 7)).build(ImageShape(3, 12, 10))
    expected = image
    for conv, norm in zip(module.convs, module.norms, strict=True):
        expected = F.conv2d(expected, conv.weight, conv.bias, stride=2, padding=1)
        expected = F.relu(F.batch_norm(expected, None, None, norm.weight, norm.bias, training=True))
    torch.testing.assert_close(module(image).as_map(), expected, rtol=1e-5, atol=1e-5)


def test_its_tokens_need_no_copy() -> None:
    for channels in (1, 3):
        tokens = ConvStem((4, 8)).build(ImageShape(channels, 16, 16))(torch.randn(2, channels, 16, 16))
        assert tokens.x.is_contiguous()


def test_cost_is_that_of_srets_stem() -> None:
    macs = ConvStem((32, 64, 64)).macs(ImageShape(3, 224, 224))
    assert macs.total == 97_542_144


def test_a_stem_without_convolutions_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        ConvStem(())
    assert str(refused.value) == "ConvStem.widths is (); it takes the channels after each convolution"
