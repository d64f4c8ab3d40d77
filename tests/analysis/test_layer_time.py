"""Time and memory by layer, of ours and of timm's."""

import timm
import torch

from tests.models.entries import shrink
from vitreous.analysis.layer_time import layer_times
from vitreous.models import build


def test_every_layer_has_its_time_and_what_it_holds() -> None:
    model = build(shrink("psvit_2d_tiny")).eval()
    found = layer_times(model, torch.randn(3, 3, 16, 16), passes=2)
    names = ["stem", *(f"layers.{number}" for number in range(len(model.layers))), "head"]
    assert [each.name for each in found.layers] == names
    assert all(each.milliseconds > 0 and each.activation_bytes > 0 for each in found.layers)
    assert found.whole_ms > 0 and found.batch == 3 and found.peak_bytes is None
    assert not any(each._forward_hooks for each in model.modules())


def test_twice_the_images_are_twice_the_bytes() -> None:
    model = build(shrink("deit_tiny")).eval()
    one, two = (layer_times(model, torch.randn(n, 3, 16, 16), passes=1) for n in (2, 4))
    assert [2 * each.activation_bytes for each in one.layers] == [
        each.activation_bytes for each in two.layers
    ]


def test_timms_blocks_are_layers_too() -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2).eval()
    found = layer_times(model, torch.randn(1, 3, 32, 32), passes=1)
    assert [each.name for each in found.layers] == ["patch_embed", "blocks.0", "blocks.1", "head"]
