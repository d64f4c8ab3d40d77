import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts import CompactStem, ImageShape, Macs


@pytest.mark.parametrize(
    ("stem", "size", "grid"),
    [
        (CompactStem(3, 1, 1, 8), (32, 32), (16, 16)),
        (CompactStem(3, 1, 1, 8, convs=2), (32, 32), (8, 8)),
        (CompactStem(7, 2, 3, 8, convs=2), (224, 224), (14, 14)),
        (CompactStem(7, 2, 3, 8, convs=2), (384, 320), (24, 20)),
        (CompactStem(3, 1, 1, 8, convs=2), (33, 29), (9, 8)),
        (CompactStem(5, 2, 0, 8, pool_kernel=2, pool_stride=2, pool_padding=0), (32, 20), (7, 4)),
    ],
    ids=str,
)
def test_the_grid_is_what_convolutions_and_pools_truly_give(stem, size, grid) -> None:
    image = ImageShape(3, *size)
    assert stem.out_shape(image).grid == grid
    assert stem.build(image)(torch.zeros(1, 3, *size)).grid == grid


def test_pooling_before_the_relu_changes_neither_values_nor_gradients() -> None:
    module = CompactStem(3, 1, 1, 6, convs=2, hidden=4).build(ImageShape(3, 12, 10)).double()
    ours = torch.randn(2, 3, 12, 10, dtype=torch.double, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    x = theirs
    for conv in module.convs:
        x = nn.functional.max_pool2d(conv(x).relu(), 3, 2, 1)
    x, tokens = x.flatten(2).transpose(1, 2), module(ours).x
    torch.testing.assert_close(tokens, x)
    weights = list(module.parameters())
    got = torch.autograd.grad(tokens.square().sum(), [ours, *weights])
    expected = torch.autograd.grad(x.square().sum(), [theirs, *weights])
    torch.testing.assert_close(got, expected)


def test_the_first_and_the_last_channels_are_the_images_and_the_tokens() -> None:
    module = CompactStem(3, 1, 1, 8, convs=3, hidden=5).build(ImageShape(2, 16, 16))
    assert [tuple(conv.weight.shape) for conv in module.convs] == [(5, 2, 3, 3), (5, 5, 3, 3), (8, 5, 3, 3)]
    assert all(conv.bias is None for conv in module.convs)


def test_macs_count_every_place_before_pooling() -> None:
    stem = CompactStem(3, 1, 1, 8, convs=2, hidden=5)
    assert stem.macs(ImageShape(2, 16, 24)) == Macs(maps=9 * (2 * 5 * 16 * 24 + 5 * 8 * 8 * 12))


@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("pool", [{}, {"pool_kernel": 4, "pool_stride": 3, "pool_padding": 0}], ids=str)
def test_the_smallest_size_that_an_error_names_does_fit(kernel, stride, padding, pool) -> None:
    stem = CompactStem(kernel, stride, padding, 2, convs=2, hidden=2, **pool)
    fitting = []
    for side in range(1, 200):
        try:
            fitting.append(stem.out_shape(ImageShape(1, side, 200)))
        except ConfigError as error:
            assert not fitting
            message = str(error)
    smallest = 200 - len(fitting)
    assert stem.build(ImageShape(1, smallest, 200))(torch.zeros(1, 1, smallest, 200)).x.shape[1] >= 1
    if smallest > 1:
        assert message == (
            f"CompactStem: an image side of {smallest - 1} pixels gives no token after 2 times convolution "
            f"and pool; {smallest} pixels and more do"
        )


def test_a_pool_that_would_see_only_padding_is_refused() -> None:
    stem = CompactStem(3, 1, 1, 8, pool_kernel=3, pool_padding=2)
    with pytest.raises(ConfigError) as refused:
        stem.build(ImageShape(3, 16, 16))
    assert str(refused.value) == (
        "CompactStem: a pool of 3 places cannot be padded by 2, or some pools would see nothing else; 1 and "
        "less can"
    )
