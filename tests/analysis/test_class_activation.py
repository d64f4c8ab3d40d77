"""Maps of what spoke for a class are Grad-CAM's, at the last grid, and leave no trace."""

from dataclasses import replace

import pytest
import timm
import torch
from torch import Tensor, nn

from tests.models.entries import shrink
from vitreous.analysis import class_activation as here
from vitreous.analysis.class_activation import class_activation
from vitreous.errors import ConfigError
from vitreous.models import build

OURS = (
    "deit_tiny", "deit_tiny_distilled", "eit_mini", "psvit_1d_tiny", "psvit_2d_tiny", "sret_tiny",
    "feed_forward_base", "mlp_mixer_small", "cct_7_3x1", "swin_tiny", "t2t_vit_7",
)  # fmt: skip


def weighed(patches: Tensor, gradient: Tensor) -> Tensor:
    """Section 3 of the paper, written out: (batch, patches, width) → (batch, patches)."""
    return (patches * gradient.mean(dim=1, keepdim=True)).sum(dim=-1).relu()


@pytest.mark.parametrize("name", OURS)
def test_the_map_is_the_papers_formula_at_the_last_layer_with_a_grid(name: str) -> None:
    pytest.importorskip("captum")
    described = shrink(name)
    torch.manual_seed(0)
    model = build(described).double().eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    image = described.image
    images = torch.randn(3, image.channels, image.height, image.width, dtype=torch.float64)
    classes = torch.tensor([0, 3, 1])
    number = [n for n, shape in enumerate(described.shapes()[:-1]) if shape.grid is not None][-1]
    with torch.no_grad():
        tokens = model.position(model.prefix(model.stem(images)))
        for layer in model.layers[:number]:
            tokens = layer(tokens)
    entering = tokens.x.clone().requires_grad_()
    after = replace(tokens, x=entering)
    for layer in model.layers[number:]:
        after = layer(after)
    (gradient,) = torch.autograd.grad(model.head(after)[torch.arange(3), classes].sum(), entering)
    expected = weighed(entering[:, tokens.prefix :], gradient[:, tokens.prefix :]).unflatten(1, tokens.grid)
    found = class_activation(model, images, classes)
    assert found is not None and found.layer == f"layers.{number}"
    assert torch.allclose(found.maps, expected, atol=1e-12) and found.maps.amax() > 0


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mixer_s32_224"])
def test_timms_models_have_maps_of_their_own_answers(name: str) -> None:
    pytest.importorskip("captum")
    more = {"depth": 2, "patch_size": 8} if name.startswith("vit") else {}
    torch.manual_seed(0)
    model = timm.create_model(name, img_size=64, num_classes=5, **more).eval()
    nn.init.normal_(model.head.weight)
    images = torch.randn(2, 3, 64, 64)
    kept: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        inputs[0].retain_grad()
        kept.append(inputs[0])

    hook = model.blocks[-1].register_forward_pre_hook(keep)
    logits = model(images)
    hook.remove()
    logits.amax(dim=1).sum().backward()
    prefix = getattr(model, "num_prefix_tokens", 0)
    expected = weighed(kept[0][:, prefix:], kept[0].grad[:, prefix:])
    found = class_activation(model, images)
    assert found is not None and found.layer == f"blocks.{len(model.blocks) - 1}"
    assert torch.equal(found.classes, logits.argmax(dim=1))
    assert torch.allclose(found.maps.flatten(1), expected, atol=1e-6)


def test_the_model_is_left_as_it_was_also_after_an_error(monkeypatch) -> None:
    captum = pytest.importorskip("captum.attr")
    model = build(shrink("deit_tiny")).eval()
    model.head.classifier.bias.requires_grad_(False)
    images = torch.randn(2, 3, 16, 16)
    before = [parameter.requires_grad for parameter in model.parameters()]

    def untouched() -> bool:
        return (
            [parameter.requires_grad for parameter in model.parameters()] == before
            and all(parameter.grad is None for parameter in model.parameters())
            and not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
        )

    class_activation(model, images)
    assert untouched() and not images.requires_grad

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("mine")

    monkeypatch.setattr(captum.LayerGradCam, "attribute", breaks)
    with pytest.raises(RuntimeError, match="mine"):
        class_activation(model, images)
    assert untouched()


def test_where_nothing_speaks_for_a_class_the_map_is_zero() -> None:
    pytest.importorskip("captum")
    model = build(shrink("deit_tiny")).eval()
    nn.init.zeros_(model.head.classifier.weight)
    found = class_activation(model, torch.randn(2, 3, 16, 16))
    assert found is not None and found.maps.shape == (2, 4, 4) and not found.maps.any()


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(here, "find_spec", lambda name: None)
    model = build(shrink("deit_tiny")).eval()
    with pytest.raises(ConfigError, match=r"need captum: pip install 'vitreous\[explain\]'"):
        class_activation(model, torch.randn(1, 3, 16, 16))
