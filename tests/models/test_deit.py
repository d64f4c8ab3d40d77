"""DeiT against timm's module, with weights copied under their names, in float64."""

import warnings

import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.interop.rename import load_theirs, to_theirs
from vitreous.models import build, config
from vitreous.models.deit import deit, distilled, timm_names
from vitreous.parts import ImageShape

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # timm's own imports
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer


def same_in_timm(described, **sizes):
    return TimmVisionTransformer(
        img_size=(described.image.height, described.image.width),
        in_chans=described.image.channels,
        num_classes=described.classes,
        **sizes,
    )


def check_equal(described, theirs, rng_images, tolerance=1e-10) -> None:
    theirs, ours = theirs.double().eval(), build(described).double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():  # away from zeros and ones, which hide mistakes
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    with torch.no_grad():
        torch.testing.assert_close(ours(rng_images), theirs(rng_images), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("size", "width", "heads", "parameters"),
    [("tiny", 192, 3, 5_717_416), ("small", 384, 6, 22_050_664), ("base", 768, 12, 86_567_656)],
)
def test_the_named_sizes_equal_timms(size: str, width: int, heads: int, parameters: int) -> None:
    torch.manual_seed(0)
    described = config(f"deit_{size}")
    theirs = same_in_timm(described, patch_size=16, embed_dim=width, depth=12, num_heads=heads)
    assert sum(each.numel() for each in build(described).parameters()) == parameters
    check_equal(described, theirs, torch.randn(1, 3, 224, 224, dtype=torch.double))


@pytest.mark.parametrize("image", [(3, 32, 48), (1, 28, 28), (5, 16, 64)], ids=str)
@pytest.mark.parametrize(("patch", "width", "depth", "heads"), [(4, 24, 3, 2), (2, 20, 1, 5), (4, 33, 2, 3)])
def test_odd_sizes_equal_timms(image, patch, width, depth, heads) -> None:
    torch.manual_seed(0)
    described = deit(
        image=ImageShape(*image), classes=7, width=width, depth=depth, heads=heads, patch=patch, ratio=2.5
    )
    theirs = same_in_timm(
        described, patch_size=patch, embed_dim=width, depth=depth, num_heads=heads, mlp_ratio=2.5
    )
    check_equal(described, theirs, torch.randn(3, *image, dtype=torch.double))


def test_gradients_equal_timms() -> None:
    torch.manual_seed(0)
    described = config("deit_tiny", image_size=32, classes=5, depth=3)
    theirs = same_in_timm(described, patch_size=16, embed_dim=192, depth=3, num_heads=3).double()
    ours = build(described).double()
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    for model in (ours, theirs):
        model(images).square().sum().backward()
    named = to_theirs(dict(ours.named_parameters()), timm_names(described))
    assert len(named) == len(list(theirs.parameters()))
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(named[name].grad, parameter.grad, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "width", "heads", "parameters"),
    [("tiny", 192, 3, 5_910_800), ("small", 384, 6, 22_436_432), ("base", 768, 12, 87_338_192)],
)
def test_the_distilled_sizes_equal_timms(size: str, width: int, heads: int, parameters: int) -> None:
    torch.manual_seed(0)
    described = config(f"deit_{size}_distilled")
    theirs = VisionTransformerDistilled(patch_size=16, embed_dim=width, depth=12, num_heads=heads)
    assert sum(each.numel() for each in build(described).parameters()) == parameters
    check_equal(described, theirs, torch.randn(1, 3, 224, 224, dtype=torch.double))


def test_the_two_heads_of_a_distilled_model_equal_timms_in_training() -> None:
    torch.manual_seed(0)
    described = config("deit_tiny_distilled", image_size=32, classes=5, depth=2)
    theirs = VisionTransformerDistilled(img_size=32, num_classes=5, embed_dim=192, depth=2, num_heads=3)
    check_equal(described, theirs, torch.randn(2, 3, 32, 32, dtype=torch.double))
    ours = build(described).double()
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    theirs.train()
    theirs.set_distilled_training(True)
    images = torch.randn(3, 3, 32, 32, dtype=torch.double)
    for one, other in zip(ours.head.apart(ours.forward_features(images)), theirs(images), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_a_model_without_a_class_token_cannot_be_given_a_distillation_token() -> None:
    with pytest.raises(ConfigError, match="distilled: a distillation token stands beside a ClassToken"):
        distilled(config("cct_7_3x1"))
