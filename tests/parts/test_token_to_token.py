import math

import pytest
import torch
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts import ImageShape, PatchStem, TokenToToken
from vitreous.parts.token_to_token import Performer, soft_split

IMAGE = ImageShape(3, 32, 48)


def test_a_single_split_without_overlap_is_a_patch_stem() -> None:
    stem, patches = TokenToToken(6, splits=((4, 4),)).build(IMAGE), PatchStem(4, 6).build(IMAGE)
    with torch.no_grad():
        patches.conv.weight.copy_(stem.project.weight.unflatten(1, (3, 4, 4)))
        patches.conv.bias.copy_(stem.project.bias)
    images = torch.randn(2, 3, 32, 48)
    ours, theirs = stem(images), patches(images)
    assert ours.grid == theirs.grid == (8, 12)
    torch.testing.assert_close(ours.x, theirs.x)


@pytest.mark.parametrize(
    ("size", "grid"), [((224, 224), (14, 14)), ((32, 48), (2, 3)), ((33, 47), (2, 3)), ((3, 3), (1, 1))]
)
def test_one_token_stands_for_sixteen_pixels_a_side(size: tuple[int, int], grid: tuple[int, int]) -> None:
    stem = TokenToToken(6, inner=4, features=2)
    assert stem.out_shape(ImageShape(1, *size)).grid == grid
    assert stem.build(ImageShape(1, *size))(torch.randn(1, 1, *size)).grid == grid


def test_a_soft_split_puts_the_pixels_of_each_window_side_by_side() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    windows, grid = soft_split(image, 3, 2)
    assert grid == (2, 2)
    assert windows[0, 3].tolist() == [5, 6, 7, 9, 10, 11, 13, 14, 15]
    assert windows[0, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 4, 5]


def performer(width: int = 10, inner: int = 4, features: int = 3) -> Performer:
    return Performer(TokenToToken(6, inner=inner, features=features), width).double()


def test_the_random_rows_are_orthogonal_fixed_and_stored() -> None:
    module = performer()
    product = module.features @ module.features.T
    torch.testing.assert_close(product, 3 * torch.eye(3, dtype=torch.double), rtol=0, atol=1e-5)
    assert "features" in module.state_dict() and "features" not in dict(module.named_parameters())


def test_linear_attention_equals_the_map_of_all_pairs() -> None:
    module = performer()
    q, k, v = torch.randn(3, 2, 7, 4, dtype=torch.double)

    def phi(u: Tensor) -> Tensor:
        exponent = u @ module.features.T - (u * u).sum(-1, keepdim=True) / 2
        return exponent.exp() / math.sqrt(3)

    weights = phi(q) @ phi(k).transpose(1, 2)
    expected = weights / (weights.sum(-1, keepdim=True) + 1e-8) @ v
    torch.testing.assert_close(module.attend(q, k, v), expected)


def test_one_token_alone_gets_its_own_value() -> None:
    q, k, v = 0.1 * torch.randn(3, 2, 1, 4, dtype=torch.double)
    torch.testing.assert_close(performer().attend(q, k, v), v, rtol=1e-6, atol=1e-6)


def test_many_random_features_come_near_softmax_attention() -> None:
    torch.manual_seed(0)
    q, k, v = 0.5 * torch.randn(3, 1, 9, 4, dtype=torch.double)
    exact = (q @ k.transpose(1, 2)).softmax(-1) @ v
    errors = []
    for count in (64, 65536):
        module = performer(features=4)
        # Gaussian rows of any number are what orthogonal ones stand for.
        module.features = torch.randn(count, 4, dtype=torch.double)
        errors.append((module.attend(q, k, v) - exact).norm().item() / exact.norm().item())
    assert errors[1] < 0.05 and errors[1] < errors[0] / 4


def test_exponentials_are_taken_in_full_precision_under_autocast() -> None:
    module = performer().float()
    q, k, v = 3 * torch.randn(3, 2, 7, 4)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(module.attend(q, k, v), module.attend(q, k, v))
        under = module.attend(q, k, v)
    assert under.dtype == torch.float32
    torch.testing.assert_close(under, module.attend(q, k, v), rtol=0, atol=0)


def test_nothing_is_left_of_the_input_but_the_values() -> None:
    module = performer()
    with torch.no_grad():
        for layer in (module.project, module.narrow):
            layer.weight.zero_()
            layer.bias.zero_()
    x = torch.randn(2, 5, 10, dtype=torch.double)
    torch.testing.assert_close(module(x), module.kqv(module.norm1(x))[..., 8:])


def test_its_cost_is_what_its_products_are() -> None:
    stem, image = TokenToToken(6, inner=4, features=2), ImageShape(3, 32, 32)
    macs = stem.macs(image)
    first, second = 64 * (147 * 12 + 2 * 4 * 2 + 3 * 16), 16 * (36 * 12 + 2 * 4 * 2 + 3 * 16)
    assert macs.maps == first + second + 4 * 36 * 6
    assert macs.attention == (64 + 16) * 9 * 2


def test_dropout_follows_the_recipe() -> None:
    from vitreous.parts.drop import set_drop_rates

    stem, images = TokenToToken(6, inner=4, features=2).build(IMAGE), torch.randn(1, 3, 32, 48)
    assert torch.equal(stem(images).x, stem(images).x)
    set_drop_rates(stem, dropout=0.5, attention_dropout=0.0, drop_path=0.0)
    assert not torch.equal(stem(images).x, stem(images).x)
    assert torch.equal(stem.eval()(images).x, stem(images).x)
    assert sum(isinstance(each, nn.Dropout) for each in stem.modules()) == 2


@pytest.mark.parametrize(
    ("stem", "image", "message"),
    [
        (
            TokenToToken(6),
            ImageShape(3, 2, 32),
            "TokenToToken: an image of 2×32 pixels gives no token; sides of 3 and more do",
        ),
        (
            TokenToToken(6, splits=((8, 8), (4, 4))),
            ImageShape(3, 31, 32),
            "TokenToToken: an image of 31×32 pixels gives no token; sides of 32 and more do",
        ),
        (
            TokenToToken(6, inner=4, features=5),
            IMAGE,
            "TokenToToken: 5 orthogonal features do not fit into 4 channels; 1 to 4 do",
        ),
        (
            TokenToToken(6, splits=()),
            IMAGE,
            "TokenToToken: it needs at least one split; ((7, 4), (3, 2), (3, 2)) is T2T-ViT's",
        ),
    ],
)
def test_what_gives_no_tokens_is_refused_with_what_does(
    stem: TokenToToken, image: ImageShape, message: str
) -> None:
    for make in (stem.out_shape, stem.build, stem.macs):
        with pytest.raises(ConfigError) as refused:
            make(image)
        assert str(refused.value) == message
