"""PiT against timm's module, with weights copied under its names."""

import warnings

import pytest
import torch

from vitreous.analysis.cost import cost
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import build, config
from vitreous.models.pit import pit, timm_names
from vitreous.parts import GridPool, ImageShape
from vitreous.parts.drop import DropPath

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # timm's own imports
    from timm.models.pit import PoolingVisionTransformer as TimmPiT


@pytest.mark.parametrize("image", [(3, 16, 16), (1, 20, 26), (5, 32, 18)], ids=str)
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_logits_and_gradients_equal_timms(image: tuple[int, int, int], stages: int) -> None:
    torch.manual_seed(0)
    depths, heads = (2, 1, 1)[:stages], (2, 4, 8)[:stages]
    described = pit(
        image=ImageShape(*image), classes=7, width=8, depths=depths, heads=2, patch=4, stride=2, ratio=2.5
    )
    theirs = TimmPiT(
        img_size=image[1:],
        patch_size=4,
        stride=2,
        base_dims=(4, 4, 4)[:stages],
        depth=depths,
        heads=heads,
        mlp_ratio=2.5,
        num_classes=7,
        in_chans=image[0],
    )
    with torch.no_grad():
        for parameter in theirs.parameters():  # away from zeros and ones, which hide mistakes
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    theirs, ours = theirs.double().eval(), build(described).double().eval()
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    batch = torch.randn(2, *image, dtype=torch.double)
    torch.testing.assert_close(ours(batch), theirs(batch), rtol=0, atol=1e-12)
    for model in (ours, theirs):
        model(batch).square().sum().backward()
    named = to_theirs(dict(ours.named_parameters()), timm_names(described))
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(named.pop(name).grad, parameter.grad, rtol=1e-9, atol=1e-10)
    assert not named


@pytest.mark.parametrize(
    ("size", "in_timm", "parameters", "published_gmacs"),
    [
        ("tiny", "ti", 4_847_272, 0.71),
        ("xs", "xs", 10_618_888, 1.4),
        ("small", "s", 23_461_912, 2.9),
        ("base", "b", 73_764_840, 12.5),
    ],
)
def test_the_named_sizes_are_timms_and_have_the_published_cost(
    size: str, in_timm: str, parameters: int, published_gmacs: float
) -> None:
    import timm

    described = config(f"pit_{size}")
    with torch.device("meta"):
        ours, theirs = build(described).state_dict(), timm.create_model(f"pit_{in_timm}_224").state_dict()
    renamed = to_theirs(ours, timm_names(described))
    assert {name: each.shape for name, each in renamed.items()} == {
        name: each.shape for name, each in theirs.items()
    }
    assert list(to_ours(renamed, timm_names(described))) == list(ours)
    counted = cost(described)
    assert counted.parameters == parameters
    assert counted.macs / 1e9 == pytest.approx(published_gmacs, rel=0.02)


def test_tiny_equals_timms_at_full_size() -> None:
    import timm

    torch.manual_seed(0)
    described = config("pit_tiny")
    theirs, ours = timm.create_model("pit_ti_224").eval(), build(described).eval()
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    batch = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(batch), theirs(batch), rtol=0, atol=1e-5)


def test_each_pool_halves_the_grid_and_carries_the_class_token() -> None:
    shapes = config("pit_tiny").shapes()
    assert [(each.grid, each.width) for each in shapes[::4]] == [
        ((27, 27), 64),
        ((14, 14), 128),
        ((14, 14), 128),
        ((7, 7), 256),
    ]
    assert all(each.prefix == 1 for each in shapes)


def test_it_starts_as_released_with_drop_path_growing_over_all_stages() -> None:
    torch.manual_seed(0)
    described = config("pit_tiny", depths=(1, 2, 1), image_size=64)
    model = build(described, drop_path=0.3)
    assert model.position.table.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.prefix.token.std().item() == pytest.approx(0.02, rel=0.3)
    linear = model.layers[0].branches[1].widen.weight  # torch's own: uniform within 1 / √fan-in
    assert linear.abs().max().item() == pytest.approx(64**-0.5, rel=0.01)
    rates = [[each.p for each in layer.modules() if isinstance(each, DropPath)] for layer in model.layers]
    assert [each[0] for each in rates if each] == pytest.approx([0, 0.1, 0.2, 0.3])
    pools = [number for number, layer in enumerate(described.layers) if isinstance(layer, GridPool)]
    assert [rates[number] for number in pools] == [[], []]
