"""Swin against timm's and torchvision's modules, with weights copied under their names, in float64."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError, VerifyError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.swin import authors_names, swin, timm_names, torchvision_names
from vitreous.parts import ImageShape, MergePatches, RelativePosition
from vitreous.parts.drop import DropPath
from vitreous.parts.relative_position import RelativePositionModule

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own imports
    from timm.models.swin_transformer import SwinTransformer as TimmSwin
    from timm.models.swin_transformer import checkpoint_filter_fn
    from torchvision.models.swin_transformer import SwinTransformer as TorchvisionSwin

SMALL = {"width": 8, "depths": (2, 2), "heads": (2, 4), "patch": 2, "ratio": 2.5}


def in_timm(described: VisionTransformer, window: int, **sizes) -> nn.Module:
    return TimmSwin(
        img_size=(described.image.height, described.image.width),
        in_chans=described.image.channels,
        num_classes=described.classes,
        window_size=window,
        **sizes,
    )


def away_from_the_start(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return module.double().eval()


def images(described: VisionTransformer) -> Tensor:
    shape = (2, described.image.channels, described.image.height, described.image.width)
    return torch.randn(shape, dtype=torch.double)


# Windows that divide every stage; one window a stage; stages of one window along one side; smaller windows.
CASES = [((3, 16, 16), 2), ((1, 16, 16), 4), ((3, 16, 8), 4), ((5, 8, 24), 2), ((3, 8, 8), 7)]


@pytest.mark.parametrize(("image", "window"), CASES, ids=str)
def test_logits_and_gradients_equal_timms(image: tuple[int, int, int], window: int) -> None:
    torch.manual_seed(0)
    described = swin(image=ImageShape(*image), classes=7, window=window, **SMALL)
    theirs = in_timm(
        described, window, patch_size=2, embed_dim=8, depths=(2, 2), num_heads=(2, 4), mlp_ratio=2.5
    )
    theirs, ours, batch = away_from_the_start(theirs), build(described).double().eval(), images(described)
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    torch.testing.assert_close(ours(batch), theirs(batch), rtol=0, atol=1e-12)
    for model in (ours, theirs):
        model(batch).square().sum().backward()
    named = to_theirs(dict(ours.named_parameters()), timm_names(described))
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(named.pop(name).grad, parameter.grad, rtol=1e-9, atol=1e-10)
    assert not named


@pytest.mark.parametrize(("image", "window"), CASES[:2], ids=str)
def test_logits_equal_torchvisions_its_index_too(image: tuple[int, int, int], window: int) -> None:
    torch.manual_seed(0)
    described = swin(image=ImageShape(*image), classes=7, window=window, **SMALL)
    theirs = TorchvisionSwin([2, 2], 8, [2, 2], [2, 4], [window] * 2, mlp_ratio=2.5, num_classes=7)
    theirs.features[0][0] = nn.Conv2d(image[0], 8, 2, 2)
    theirs, ours, batch = away_from_the_start(theirs), build(described).double().eval(), images(described)
    state = theirs.state_dict()
    assert "features.1.0.attn.relative_position_index" in state
    load_theirs(ours, state, torchvision_names(described))
    torch.testing.assert_close(ours(batch), theirs(batch), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "parameters", "published_gmacs"),
    [("tiny", 28_288_354, 4.5), ("small", 49_606_258, 8.7), ("base", 87_768_224, 15.4)],
)
def test_the_named_sizes_have_the_published_cost(size: str, parameters: int, published_gmacs: float) -> None:
    counted = cost(config(f"swin_{size}"))
    assert counted.parameters == parameters
    assert counted.macs / 1e9 == pytest.approx(published_gmacs, abs=0.05)


def test_tiny_equals_timms_at_full_size() -> None:
    torch.manual_seed(0)
    described = config("swin_tiny")
    theirs = in_timm(described, 7, patch_size=4).eval()
    ours, batch = build(described).eval(), torch.randn(1, 3, 224, 224)
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    with torch.no_grad():
        torch.testing.assert_close(ours(batch), theirs(batch), rtol=0, atol=1e-5)


def test_the_released_names_are_what_timm_reads_of_the_released_files() -> None:
    described = swin(image=ImageShape(3, 16, 16), classes=7, window=2, **SMALL)
    ours = build(described)
    released = to_theirs(ours.state_dict(), authors_names(described))
    assert {"layers.0.downsample.reduction.weight", "head.weight"} <= set(released)
    released |= {
        "layers.0.blocks.1.attn_mask": ours.layers[1].branches[0].mixer.mask,
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4),
    }
    sizes = {"patch_size": 2, "embed_dim": 8, "depths": (2, 2), "num_heads": (2, 4), "mlp_ratio": 2.5}
    theirs = in_timm(described, 2, **sizes).eval()
    theirs.load_state_dict(checkpoint_filter_fn(released, theirs))
    batch = images(described).float()
    torch.testing.assert_close(theirs(batch), ours.eval()(batch), rtol=0, atol=1e-5)


def test_a_released_file_is_read_with_its_masks_and_indices_compared() -> None:
    described = swin(image=ImageShape(3, 16, 16), classes=7, window=2, **SMALL)
    ours, table = build(described), authors_names(described)
    computed = {
        name: value for name, value in ours.named_buffers() if name.endswith(("mixer.mask", "relative.index"))
    }
    assert len(computed) == 6
    released = to_theirs({**ours.state_dict(), **computed}, table)
    assert "layers.0.blocks.1.attn_mask" in released and "layers.1.blocks.0.attn_mask" not in released
    load_theirs(build(described), released, table)
    with pytest.raises(VerifyError, match="differs from what the model computes"):
        load_theirs(
            build(described), {**released, "layers.0.blocks.1.attn_mask": torch.zeros(16, 4, 4)}, table
        )


@pytest.mark.parametrize("names", [timm_names, authors_names, torchvision_names])
def test_names_go_there_and_back(names) -> None:
    described = swin(image=ImageShape(3, 16, 16), classes=7, window=2, **SMALL)
    ours = build(described).state_dict()
    assert list(to_ours(to_theirs(ours, names(described)), names(described))) == list(ours)


def test_every_other_layer_is_shifted_by_half_a_window_unless_it_is_one_window() -> None:
    described = config("swin_tiny")
    layers = [each for each in described.layers if not isinstance(each, MergePatches)]
    assert [layer.branches[0].mixer.shift for layer in layers] == [0, 3] * 6
    with torch.device("meta"):
        built = [each for each in build(described).layers if hasattr(each, "branches")]
    masks = [layer.branches[0].mixer.mask for layer in built]
    assert [None if each is None else len(each) for each in masks] == [
        *(None, 64, None, 16),
        *(None, 4) * 3,
        *(None, None),
    ]


def test_it_starts_as_released_with_drop_path_growing_over_all_stages() -> None:
    torch.manual_seed(0)
    described = config("swin_tiny", depths=(2, 2), heads=(3, 6), image_size=56)
    model = build(described, drop_path=0.3)
    tables = [each.table for each in model.modules() if isinstance(each, RelativePositionModule)]
    assert len(tables) == 4 and described.layers[0].branches[0].mixer.mixer.relative == RelativePosition()
    for weight in [*tables, model.layers[2].reduce.weight, model.head.classifier.weight]:
        assert weight.std().item() == pytest.approx(0.02, rel=0.15)
    rates = {each.p for each in model.modules() if isinstance(each, DropPath)}
    assert sorted(rates) == pytest.approx([0, 0.1, 0.2, 0.3])


def test_it_runs_at_every_size_whose_grids_its_windows_divide() -> None:
    described = swin(image=ImageShape(3, 16, 16), classes=7, window=2, **SMALL)
    model, larger = build(described).eval(), images(described)[..., :8].float().repeat(1, 1, 2, 3)
    for_it = build(swin(image=ImageShape(3, 32, 24), classes=7, window=2, **SMALL)).eval()
    for_it.load_state_dict(model.state_dict())
    assert torch.equal(model(larger), for_it(larger))
    with pytest.raises(
        ConfigError, match="Windows: a grid of 9×8 tokens does not divide into windows of 2×2"
    ):
        model(torch.randn(1, 3, 18, 16))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: config("swin_tiny", image_size=256),
            "layer 0, Windows: a grid of 64×64 tokens does not divide into windows of 7×7; windows of 1, 2, "
            "4, 8, 16, 32, 64 do",
        ),
        (
            lambda: config("swin_tiny", depths=(2, 2)),
            "swin: depths (2, 2) and heads (3, 6, 12, 24) are not of the same stages; give one of each a "
            "stage",
        ),
        (
            lambda: config("swin_tiny", image_size=28, window=1),
            "layer 2, MergePatches: a grid of 7×7 tokens does not divide into squares of 2×2; 8×8 does",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_what_would(make, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build(make())
    assert str(refused.value) == message
