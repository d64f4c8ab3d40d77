"""MLP-Mixer against timm's module, with weights copied under their names, in float64."""

import warnings

import pytest
import torch

from vitreous.analysis.cost import cost
from vitreous.interop.rename import load_theirs, to_theirs
from vitreous.models import build, config
from vitreous.models.mlp_mixer import mlp_mixer, timm_names
from vitreous.parts import ImageShape

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # timm's own imports
    import timm
    from timm.models.mlp_mixer import MlpMixer


@pytest.mark.parametrize(
    ("size", "timms", "parameters", "gmacs"),
    [("small", "mixer_s16_224", 18_528_264, 3.777), ("base", "mixer_b16_224", 59_880_472, 12.602)],
)
def test_the_named_sizes_are_timms(size: str, timms: str, parameters: int, gmacs: float) -> None:
    described = config(f"mlp_mixer_{size}")
    with torch.device("meta"):
        theirs, ours = timm.create_model(timms), build(described)
    assert cost(described).parameters == parameters == sum(each.numel() for each in theirs.parameters())
    assert round(cost(described).macs / 1e9, 3) == gmacs
    named = to_theirs(ours.state_dict(), timm_names(described))
    shapes = {name: each.shape for name, each in theirs.state_dict().items()}
    assert {name: each.shape for name, each in named.items()} == shapes
    assert described.source == "paper"


@pytest.mark.parametrize(
    ("image", "patch", "width", "depth", "hidden", "ratio"),
    [((3, 32, 48), 8, 24, 2, 10, 4), ((1, 28, 28), 4, 20, 1, 33, 2.5), ((3, 224, 224), 16, 512, 1, 256, 4)],
    ids=str,
)
def test_logits_and_gradients_equal_timms(image, patch, width, depth, hidden, ratio) -> None:
    torch.manual_seed(0)
    described = mlp_mixer(
        image=ImageShape(*image),
        classes=7,
        width=width,
        depth=depth,
        token_hidden=hidden,
        patch=patch,
        ratio=ratio,
    )
    theirs = MlpMixer(
        num_classes=7,
        img_size=image[1:],
        in_chans=image[0],
        patch_size=patch,
        num_blocks=depth,
        embed_dim=width,
        mlp_ratio=(hidden / width, ratio),
    ).double()
    ours = build(described).double()
    with torch.no_grad():
        for parameter in theirs.parameters():  # away from zeros and ones, which hide mistakes
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    images = torch.randn(1, *image, dtype=torch.double)
    logits = [model(images) for model in (ours, theirs)]
    torch.testing.assert_close(*logits, rtol=0, atol=1e-10)
    for each in logits:
        each.square().sum().backward()
    named = to_theirs(dict(ours.named_parameters()), timm_names(described))
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(named[name].grad, parameter.grad, rtol=1e-8, atol=1e-10)
