import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import ConvPoolStem, ImageShape, LayerNorm, PatchStem


@pytest.mark.parametrize(
    ("stem", "size", "grid"),
    [
        (ConvPoolStem(16, 4, 3, 8), (224, 224), (19, 19)),
        (ConvPoolStem(16, 4, 3, 8), (192, 256), (16, 21)),
        (ConvPoolStem(16, 4, 3, 8), (288, 384), (24, 32)),
        (ConvPoolStem(16, 4, 3, 8), (32, 64), (3, 5)),
        (ConvPoolStem(3, 1, 4, 8), (32, 32), (8, 8)),
        (ConvPoolStem(3, 1, 4, 8), (33, 31), (8, 7)),
        (PatchStem(4, 8), (32, 48), (8, 12)),
        (PatchStem(16, 8, stride=8), (224, 240), (27, 29)),
        (PatchStem(14, 8, stride=7), (224, 224), (31, 31)),
    ],
)
def test_the_grid_is_what_the_convolution_truly_gives(stem, size, grid) -> None:
    image = ImageShape(3, *size)
    assert stem.out_shape(image).grid == grid
    assert stem.build(image)(torch.zeros(1, 3, *size)).grid == grid


def test_a_patch_stem_is_a_linear_map_of_each_patch() -> None:
    module = PatchStem(4, 6).build(ImageShape(3, 8, 12)).double()
    image = torch.randn(2, 3, 8, 12, dtype=torch.double)
    patches = image.unflatten(3, (3, 4)).unflatten(2, (2, 4)).permute(0, 2, 4, 1, 3, 5).reshape(2, 6, 48)
    expected = patches @ module.conv.weight.flatten(1).T + module.conv.bias
    torch.testing.assert_close(module(image).x, expected)


def test_patches_that_overlap_are_every_other_one_of_a_finer_grid() -> None:
    image = ImageShape(3, 12, 16)
    apart, overlapping = PatchStem(4, 6).build(image), PatchStem(4, 6, stride=2).build(image)
    overlapping.load_state_dict(apart.state_dict())
    x = torch.randn(2, 3, 12, 16)
    fine = overlapping(x).as_map()
    assert fine.shape == (2, 6, 5, 7)
    torch.testing.assert_close(fine[:, :, ::2, ::2], apart(x).as_map())


def test_a_norm_normalises_each_patch() -> None:
    module = PatchStem(4, 32, norm=LayerNorm(1e-9)).build(ImageShape(3, 8, 8))
    x = module(torch.randn(2, 3, 8, 8)).x
    torch.testing.assert_close(x.mean(-1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.var(-1, correction=0), torch.ones(2, 4))


def test_pooling_takes_the_largest_response() -> None:
    stem = ConvPoolStem(1, 1, 2, 1).build(ImageShape(1, 4, 4))
    torch.nn.init.ones_(stem.conv.weight)
    torch.nn.init.zeros_(stem.conv.bias)
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert stem(image).x.flatten().tolist() == [5, 7, 13, 15]


@pytest.mark.parametrize(
    ("stem", "size", "message"),
    [
        (
            PatchStem(16, 8),
            (30, 33),
            "PatchStem: an image of 30×33 pixels does not divide into patches of 16×16; 16×32 or 32×48 does",
        ),
        (
            PatchStem(16, 8),
            (8, 32),
            "PatchStem: an image of 8×32 pixels does not divide into patches of 16×16; 16×32 does",
        ),
        (
            PatchStem(16, 8, stride=8),
            (225, 224),
            "PatchStem: an image of 225×224 pixels does not divide into patches of 16×16, 8 apart; "
            "224×224 or 232×224 does",
        ),
        (
            PatchStem(16, 8, stride=8),
            (8, 20),
            "PatchStem: an image of 8×20 pixels does not divide into patches of 16×16, 8 apart; 16×24 does",
        ),
        (
            ConvPoolStem(16, 4, 3, 8),
            (32, 7),
            "ConvPoolStem: an image side of 7 pixels gives no token with kernel 16, stride 4 and pool 3; "
            "8 pixels and more do",
        ),
        (
            ConvPoolStem(3, 1, 4, 8),
            (3, 8),
            "ConvPoolStem: an image side of 3 pixels gives no token with kernel 3, stride 1 and pool 4; "
            "4 pixels and more do",
        ),
    ],
)
def test_an_image_that_does_not_fit_is_refused_and_sizes_that_do_are_named(stem, size, message) -> None:
    with pytest.raises(ConfigError) as refused:
        stem.build(ImageShape(3, *size))
    assert str(refused.value) == message


@pytest.mark.parametrize("kernel", range(1, 8))
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pool", [1, 2, 4])
def test_the_smallest_size_that_an_error_names_does_fit(kernel: int, stride: int, pool: int) -> None:
    stem = ConvPoolStem(kernel, stride, pool, 2)
    smallest = next(side for side in range(1, 30) if fits(stem, side))
    assert stem.build(ImageShape(1, 30, 30))(torch.zeros(1, 1, smallest, 30)).x.shape[1] >= 1
    if smallest > 1:
        with pytest.raises(ConfigError, match=f"; {smallest} pixels and more do"):
            stem.out_shape(ImageShape(1, smallest - 1, 30))


def fits(stem: ConvPoolStem, side: int) -> bool:
    try:
        stem.out_shape(ImageShape(1, side, side))
    except ConfigError:
        return False
    return True


def test_a_patch_stem_refuses_a_rest_at_run_time_too() -> None:
    module = PatchStem(4, 8).build(ImageShape(1, 8, 8))
    assert module(torch.zeros(1, 1, 12, 16)).grid == (3, 4)
    with pytest.raises(ConfigError, match="9×8 pixels does not divide"):
        module(torch.zeros(1, 1, 9, 8))
