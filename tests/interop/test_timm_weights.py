"""timm's vision transformers as ours; no network is used here."""

import pytest
import timm
import torch

from vitreous.errors import ConfigError
from vitreous.interop.timm_weights import as_ours, from_timm

SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32, "patch_size": 8, "num_classes": 5}


@pytest.mark.parametrize(
    "changes", [{}, {"qkv_bias": False}, {"mlp_ratio": 2.0}, {"in_chans": 1}, {"img_size": (32, 48)}]
)
def test_a_vision_transformer_of_timm_gives_the_same_logits_as_ours(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("vit_tiny_patch16_224", **SMALL | changes).eval()
    ours, preprocessing = as_ours(theirs, "vit_tiny_patch16_224.augreg")
    image = ours.config.image
    images = torch.randn(2, image.channels, image.height, image.width)
    torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=1e-5)
    assert preprocessing.mean == (0.5,) * image.channels  # AugReg's, not ImageNet's
    assert (ours.config.name, ours.config.source) == ("vit_tiny_patch16_224", "timm")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_values": 0.1}, "left over in the weights: blocks.0.ls1.gamma"),
        ({"qk_norm": True}, "left over in the weights: blocks.0.attn.k_norm"),
        ({"reg_tokens": 4}, "left over in the weights: reg_token"),
        ({"act_layer": torch.nn.ReLU}, "logits that differ by"),
    ],
)
def test_what_ours_does_not_express_is_refused(changes: dict[str, object], message: str) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("vit_tiny_patch16_224", **SMALL | changes)
    with pytest.raises(ConfigError, match="timm:it is built otherwise") as caught:
        as_ours(theirs, "it")
    assert message in str(caught.value)


def test_another_architecture_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="timm:resnet18 is a ResNet, which has no counterpart here"):
        as_ours(timm.create_model("resnet18"), "resnet18")


def test_a_name_that_timm_lacks_gives_the_nearest_before_anything_is_fetched() -> None:
    with pytest.raises(ConfigError, match="timm:deit_tinny_patch16_224: no model of timm; did you mean"):
        from_timm("deit_tinny_patch16_224")


def test_offline_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITREOUS_OFFLINE", "1")
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: pytest.fail("was asked for"))
    with pytest.raises(ConfigError, match="needs the network for its weights while VITREOUS_OFFLINE is 1"):
        from_timm("deit_tiny_patch16_224")
