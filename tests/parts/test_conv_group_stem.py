"""The stem of convolution groups: sizes, cost, and what each convolution is followed by."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from vitreous.errors import ConfigError
from vitreous.parts import ConvGroupStem, ImageShape

both = pytest.mark.parametrize("pool", [True, False])


@both
def test_each_group_halves_the_image_and_an_odd_side_is_rounded_up(pool: bool) -> None:
    stem = ConvGroupStem(4, (6, 8), pool=pool)
    for size, grid in [((32, 32), (8, 8)), ((24, 28), (6, 7)), ((30, 31), (8, 8)), ((33, 1), (9, 1))]:
        image = ImageShape(3, *size)
        assert stem.out_shape(image).grid == grid
        tokens = stem.build(image).eval()(torch.randn(1, 3, *size))
        assert tokens.grid == grid
        assert tokens.x.shape == (1, grid[0] * grid[1], 8)


def normalised(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.relu(F.batch_norm(x, None, None, module.norm.weight, module.norm.bias, training=True))


def test_a_group_is_convolution_pool_norm_and_relu_and_then_residual_convolutions() -> None:
    image = torch.randn(4, 3, 12, 8)
    module = ConvGroupStem(5, (7, 6), convs=3).build(ImageShape(3, 12, 8))
    x = normalised(module.first, F.conv2d(image, module.first.conv.weight, padding=1))
    for halving, *again in module.groups:
        x = normalised(halving, F.max_pool2d(F.conv2d(x, halving.conv.weight, padding=1), 2))
        assert len(again) == 2
        for each in again:
            x = x + normalised(each, F.conv2d(x, each.conv.weight, padding=1))
    torch.testing.assert_close(module(image).as_map(), x, rtol=1e-5, atol=1e-5)


def test_without_pool_the_first_convolution_of_a_group_has_stride_two() -> None:
    image = torch.randn(4, 3, 12, 8)
    module = ConvGroupStem(5, (7,), convs=1, pool=False).build(ImageShape(3, 12, 8))
    x = normalised(module.first, F.conv2d(image, module.first.conv.weight, padding=1))
    x = normalised(module.groups[0][0], F.conv2d(x, module.groups[0][0].conv.weight, padding=1, stride=2))
    torch.testing.assert_close(module(image).as_map(), x, rtol=1e-5, atol=1e-5)


@both
def test_its_tokens_need_no_copy(pool: bool) -> None:
    for channels in (1, 3):
        stem = ConvGroupStem(4, (8,), pool=pool).build(ImageShape(channels, 16, 16))
        assert stem(torch.randn(2, channels, 16, 16)).x.is_contiguous()


@both
@pytest.mark.parametrize("convs", [1, 3])
def test_cost_is_what_torch_counts(pool: bool, convs: int) -> None:
    stem, image = ConvGroupStem(4, (6, 8), convs, pool), ImageShape(3, 12, 20)
    module = stem.build(image).eval()
    with FlopCounterMode(display=False) as counter:
        module(torch.randn(1, 3, 12, 20))
    assert stem.macs(image).total == counter.get_total_flops() // 2


def test_a_stem_without_groups_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        ConvGroupStem(4, ())
    assert str(refused.value) == "ConvGroupStem.widths is (); it takes the channels of each group"
