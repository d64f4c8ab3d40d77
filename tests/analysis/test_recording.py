"""Looking inside changes nothing, sees every layer of every model, and the maps are those applied."""

from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from torch import nn

from tests.models.entries import ENTRIES, shrink
from vitreous.analysis.recording import record
from vitreous.analysis.watch_ours import inner_mixers
from vitreous.errors import ConfigError
from vitreous.models import VisionTransformer, build, config
from vitreous.models.fold import fold
from vitreous.parts import (
    Attention,
    Block,
    ChannelSplit,
    ClassToken,
    FeedForward,
    Mix,
    Recursive,
    Sliced,
    Windows,
)
from vitreous.parts.attention import AttentionModule
from vitreous.parts.attention_kernel import attention_map
from vitreous.parts.block import MixModule
from vitreous.parts.channel_split import ChannelSplitModule
from vitreous.parts.recursion import RecursiveModule
from vitreous.parts.shared_attention import SharedAttentionModule


def images_of(described: VisionTransformer, batch: int = 2) -> torch.Tensor:
    image = described.image
    return torch.randn(batch, image.channels, image.height, image.width, dtype=torch.float64)


def built(described: VisionTransformer) -> nn.Module:
    torch.manual_seed(0)
    model = build(described).double().eval()
    for parameter in model.parameters():  # position tables, biases and sums that start at 0 or 1 too
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def hooks_of(model: nn.Module) -> int:
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


@pytest.mark.parametrize("described", ENTRIES.values(), ids=ENTRIES)
def test_every_model_is_seen_whole_and_is_left_as_it_was(described: VisionTransformer) -> None:
    model, images = built(described), images_of(described)
    with torch.no_grad():
        before = model(images)
        with record(model, features=("blocks", "inputs", "mixed")) as seen:
            during = model(images)
    assert torch.equal(before, during) and hooks_of(model) == 0
    turns = [len(each.between) if isinstance(each, RecursiveModule) else 1 for each in model.layers]
    assert len(seen.features) == 1 + sum(turns)
    assert torch.equal(model.head(replace_x(model, images, list(seen.features.values())[-1].x)), before)
    for each in seen.maps.values():
        rows = each.dense().sum(dim=-1)
        assert torch.allclose(rows, torch.ones_like(rows))
    mixers = [each for each in model.modules() if isinstance(each, MixModule)]
    assert seen.maps or seen.notes or not mixers


def replace_x(model: nn.Module, images: torch.Tensor, x: torch.Tensor):
    return replace(model.forward_features(images), x=x)


@pytest.mark.parametrize("described", ENTRIES.values(), ids=ENTRIES)
def test_the_recorded_map_is_the_one_that_mixed_the_values(described: VisionTransformer) -> None:
    check_mixing(built(described), images_of(described))


def check_mixing(model: nn.Module, images: torch.Tensor) -> int:
    """Values times the dense map, projected, is what the branch gave; returns for how many maps."""
    checked = 0
    with torch.no_grad(), record(model, features=("inputs", "mixed")) as seen:
        model(images)
    inputs, mixed = seen.of("inputs"), seen.of("mixed")
    for name, each in seen.maps.items():
        if each.over == "pool":
            continue
        layer = model.layers[each.layer]
        mixer = next(one.mixer for one in layer.modules() if isinstance(one, MixModule))
        inside = list(inner_mixers(mixer))
        leaf = [one for one in inside if isinstance(one, AttentionModule | SharedAttentionModule)]
        plain = not any(hasattr(one, "norm") or isinstance(one, ChannelSplitModule) for one in inside)
        if not plain or name not in inputs:  # LaPE adds position inside; other channels are convolved
            continue
        y = inputs[name].x
        width = y.shape[-1]
        v = leaf[0].qkv(y)[..., -width:] if hasattr(leaf[0], "qkv") else leaf[0].value(y)
        v = v.unflatten(2, (leaf[0].heads, -1)).transpose(1, 2)
        if each.members.shape[0] > 1 and each.prefix:
            continue  # the prefix has several values then
        expected = leaf[0].project((each.dense() @ v).transpose(1, 2).flatten(2))
        assert torch.allclose(expected, mixed[name].x, atol=1e-9), name
        checked += 1
    return checked


@pytest.mark.parametrize(
    "mixer",
    [
        Sliced(Attention(2), (4, 2)),
        Windows(Attention(2), 2, 1),
        Windows(Sliced(Attention(2), (2,)), 2),
        ChannelSplit(((8, Attention(2)), (8, Attention(4)))),
        Sliced(Attention(2), (4,), prefix_in_each=True),
    ],
    ids=["shuffled slices", "shifted windows", "slices in windows", "two attentions", "prefix in each"],
)
def test_folded_attention_unfolds_to_a_map_over_all_tokens(mixer) -> None:
    small = config("deit_tiny", width=16, depth=1, heads=2, patch=4, image_size=16, classes=5)
    prefix = small.prefix if getattr(mixer, "prefix_in_each", False) else type(config("swin_tiny").prefix)()
    head = small.head if prefix == ClassToken() else config("swin_tiny", classes=5).head
    layer = Recursive(Block((Mix(mixer), FeedForward(2))), 2)
    model = built(replace(small, prefix=prefix, layers=(layer,), head=head))
    images = images_of(small)
    whole = not isinstance(mixer, ChannelSplit) and not getattr(mixer, "prefix_in_each", False)
    assert check_mixing(model, images) == 2 * whole
    with torch.no_grad(), record(model) as seen:
        model(images)
    parts = 2 if isinstance(mixer, ChannelSplit) else 1
    assert len(seen.maps) == 2 * parts
    for each in seen.maps.values():
        dense = each.dense()
        assert torch.allclose(dense.sum(-1), torch.ones_like(dense.sum(-1)))
        assert sorted(set(each.members.flatten().tolist())) == list(range(each.tokens))


def test_queries_and_keys_give_the_explicit_map() -> None:
    described = shrink("deit_tiny")
    model, images = built(described).float(), images_of(described).float()
    with torch.no_grad(), record(model, features=("inputs",)) as seen:
        model(images)
    for number, each in enumerate(seen.maps.values()):
        mixer = model.layers[number].branches[0].mixer
        qkv = mixer.qkv(seen.of("inputs")[each.name].x).unflatten(2, (3, mixer.heads, -1))
        q, k = qkv[:, :, 0].transpose(1, 2), qkv[:, :, 1].transpose(1, 2)
        assert (each.dense() - attention_map(q, k)).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("vit_tiny_patch16_224", {}),
        ("vit_tiny_patch16_224", {"qk_norm": True, "init_values": 0.1}),
        ("deit_tiny_distilled_patch16_224", {}),
        ("vit_tiny_patch16_224", {"class_token": False, "global_pool": "avg"}),
    ],
    ids=["vit", "qk norm and layer scale", "distilled", "no class token"],
)
def test_timms_fused_kernel_and_its_explicit_one_give_one_map(name: str, more: dict) -> None:
    model = timm.create_model(name, img_size=32, patch_size=8, depth=2, num_classes=5, **more).eval()
    images = torch.randn(2, 3, 32, 32)
    explicit: list[torch.Tensor] = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, given, out: explicit.append(out))
    with torch.no_grad():
        model(images)
        for block in model.blocks:
            block.attn.fused_attn = True
        before = hooks_of(model)
        with record(model, features=("blocks", "inputs", "mixed")) as seen:
            model(images)
    assert hooks_of(model) == before
    assert list(seen.maps) == ["blocks.0", "blocks.1"] and len(seen.features) == 3
    for theirs, ours in zip(explicit, seen.maps.values(), strict=True):
        assert (theirs - ours.dense()).abs().max() < 1e-6
        assert ours.grid == (4, 4) and ours.prefix == model.num_prefix_tokens


SMALL = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 4, "num_classes": 5}
SWIN = {
    "img_size": 32,
    "window_size": 4,
    "depths": (2, 2),
    "num_heads": (2, 4),
    "embed_dim": 16,
    "num_classes": 5,
}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("swin_tiny_patch4_window7_224", SWIN),
        ("beit_base_patch16_224", SMALL),
        ("beit_base_patch16_224", SMALL | {"use_rel_pos_bias": False, "use_shared_rel_pos_bias": True}),
        ("beit_base_patch16_224", SMALL | {"qkv_bias": False}),
        ("eva02_tiny_patch14_224", SMALL),
        ("eva_giant_patch14_224", SMALL),
        ("vit_small_patch16_rope_224", SMALL),
        ("vit_small_patch16_rope_mixed_224", SMALL),
        ("vit_small_patch16_dinov3", SMALL),
        ("vit_small_patch16_rope_224", SMALL | {"qkv_fused": False, "num_kv_heads": 2}),
    ],
    ids=[
        "swin",
        "beit",
        "beit, shared",
        "beit, no bias",
        "eva02",
        "eva",
        "rope",
        "mixed rope",
        "dinov3",
        "two heads",
    ],
)
def test_biases_windows_and_turned_queries_give_the_explicit_map(name: str, more: dict) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, **more).double().eval()
    for parameter in model.parameters():  # tables of biases start at 0
        parameter.data += 0.2 * torch.randn_like(parameter)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    explicit: list[torch.Tensor] = []
    attentions: list[Any] = [each for each in model.modules() if hasattr(each, "fused_attn")]
    for each in attentions:
        each.fused_attn = False
        each.attn_drop.register_forward_hook(lambda module, given, out: explicit.append(out))
    with torch.no_grad():
        model(images)
        for each in attentions:
            each.fused_attn = True
        before = hooks_of(model)
        plain = model(images)
        with record(model, features=("blocks", "inputs", "mixed")) as seen:
            assert torch.equal(model(images), plain)
    assert hooks_of(model) == before and seen.notes == []
    assert len(seen.features) == 1 + len(explicit) and len(seen.maps) == len(explicit) == len(attentions)
    for theirs, (name, ours) in zip(explicit, seen.maps.items(), strict=True):
        assert (theirs - ours.weights.flatten(0, 1)).abs().max() < 1e-6, name
        assert torch.allclose(ours.dense().sum(dim=-1), torch.ones((), dtype=torch.float64))
        assert ours.grid is not None and ours.grid[0] * ours.grid[1] + ours.prefix == ours.tokens
        assert seen.of("mixed")[name].x.shape[1] == seen.of("inputs")[name].x.shape[1] == ours.tokens


def test_swins_windows_unfold_to_where_their_tokens_stand() -> None:
    torch.manual_seed(0)
    model = timm.create_model("swin_tiny_patch4_window7_224", **SWIN).double().eval()
    with torch.no_grad(), record(model, features=("inputs", "mixed")) as seen:
        model(torch.randn(2, 3, 32, 32, dtype=torch.float64))
    sizes = [(each.tokens, tuple(each.members.shape)) for each in seen.maps.values()]
    assert sizes == [(64, (4, 16)), (64, (4, 16)), (16, (1, 16)), (16, (1, 16))]
    for name, each in seen.maps.items():
        attention = model.get_submodule(name).attn
        v = (
            attention.qkv(seen.of("inputs")[name].x)
            .unflatten(2, (3, each.heads, -1))[:, :, 2]
            .transpose(1, 2)
        )
        mixed = attention.proj((each.dense() @ v).transpose(1, 2).flatten(2))
        assert torch.allclose(mixed, seen.of("mixed")[name].x, atol=1e-9), name


def test_windows_that_would_be_padded_have_no_maps_but_features() -> None:
    model = timm.create_model("swin_tiny_patch4_window7_224", **(SWIN | {"img_size": 40})).eval()
    images = torch.randn(1, 3, 40, 40)
    with pytest.raises(ConfigError, match="10×10 tokens do not divide into windows of 4×4"), record(model):
        model(images)
    with torch.no_grad(), record(model, attention=False) as seen:
        model(images)
    assert len(seen.features) == 5 and hooks_of(model) == 0


def test_a_head_that_pools_by_weights_has_a_map_of_them() -> None:
    model = built(shrink("cct_7_3x1"))
    images = images_of(model.config)
    with torch.no_grad():
        with record(model) as seen:
            model(images)
        tokens = model.forward_features(images)
        y = model.head.norm(tokens.x)
        expected = model.head.weights(y)[..., 0]
    pool = seen.maps["head"]
    assert (pool.over, pool.grid, pool.prefix, pool.heads) == ("pool", tokens.grid, 0, 1)
    assert torch.allclose(pool.dense()[:, 0, 0], expected)
    assert torch.allclose(model.head.classifier((pool.dense()[:, 0] @ y)[:, 0]), model.head(tokens))


@pytest.mark.parametrize("name", ["mixer_s32_224", "resmlp_12_224"])
def test_mixers_have_features_and_a_sentence_instead_of_maps(name: str) -> None:
    model = timm.create_model(name, img_size=64).eval()
    with torch.no_grad(), record(model, features=("blocks", "mixed")) as seen:
        model(torch.randn(2, 3, 64, 64))
    assert not seen.maps and seen.notes == ["no layer has attention, so there are no maps"]
    last = seen.features[f"blocks.{len(model.blocks) - 1}"]
    assert (
        last.x.shape == seen.of("mixed")["blocks.0"].x.shape == (2, model.stem.num_patches, last.x.shape[2])
    )
    assert last.grid == model.stem.grid_size


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("swinv2_tiny_window8_256", "SwinTransformerV2"),
        ("xcit_nano_12_p8_224", "Xcit"),
        ("resnet18", "ResNet"),
    ],
)
def test_an_unknown_architecture_is_refused_by_name(name: str, said: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    with pytest.raises(ConfigError, match=f"timm's {said}.*cannot be looked into"), record(model):
        pass
    assert hooks_of(model) == 0


def test_a_block_that_timm_computes_otherwise_is_refused_by_name() -> None:
    model = timm.create_model("vit_tiny_patch16_224", depth=1, attn_layer="diff", img_size=32)
    with pytest.raises(ConfigError, match="with DiffAttention: an architecture"), record(model):
        pass


def test_a_mixer_from_elsewhere_is_refused_while_maps_are_asked_for() -> None:
    class Foreign(nn.Module):
        def forward(self, y, tokens):
            return y, tokens

    model = build(shrink("deit_tiny"))
    model.layers[1].branches[0].mixer = Foreign()
    with pytest.raises(ConfigError, match="Foreign is not known to record"), record(model):
        pass
    with record(model, attention=False) as seen:
        model(torch.randn(1, 3, 16, 16))
    assert len(seen.features) == 3 and hooks_of(model) == 0


def test_an_error_inside_leaves_no_trace() -> None:
    model = build(shrink("deit_tiny"))
    with pytest.raises(RuntimeError, match="mine"), record(model):
        raise RuntimeError("mine")
    assert hooks_of(model) == 0


def test_several_batches_follow_one_another() -> None:
    model = built(shrink("sret_tiny"))
    images = images_of(model.config, 3)
    with torch.no_grad():
        with record(model) as whole:
            model(images)
        with record(model) as pieces:
            model(images[:2])
            model(images[2:])
    for name, each in whole.maps.items():
        assert torch.allclose(each.weights, pieces.maps[name].weights)
    for name, features in whole.features.items():
        assert torch.allclose(features.x, pieces.features[name].x)


def test_a_folded_model_is_seen_as_the_model_that_it_was_folded_from() -> None:
    model = built(shrink("deit_tiny_lape"))
    images = images_of(model.config)
    with torch.no_grad():
        with record(model, features=("blocks", "inputs")) as plain:
            model(images)
        folded = fold(model)
        with record(folded, features=("blocks", "inputs")) as seen:
            folded(images)
    for kind in ("blocks", "inputs"):
        for name, features in plain.of(kind).items():
            assert torch.allclose(features.x, seen.of(kind)[name].x, atol=1e-9)
    for name, each in plain.maps.items():
        assert torch.allclose(each.dense(), seen.maps[name].dense(), atol=1e-9)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda model: model.set_grad_checkpointing(), "gradient checkpointing"),
        (lambda model: setattr(model, "_orig_mod", model), "compiled"),
    ],
    ids=["checkpoints", "compiled"],
)
def test_what_would_be_seen_twice_or_not_at_all_is_refused(prepare, said: str) -> None:
    model = build(shrink("deit_tiny"))
    prepare(model)
    with pytest.raises(ConfigError, match=said), record(model):
        pass


def test_kinds_that_do_not_exist_are_named() -> None:
    model = build(shrink("deit_tiny"))
    said = "features='block': blocks, inputs, mixed"
    with pytest.raises(ConfigError, match=said), record(model, features="block"):
        pass


def test_the_shuffle_of_training_is_not_guessed() -> None:
    model = build(shrink("sret_tiny")).train()
    with pytest.raises(ConfigError, match="shuffled anew"), record(model):
        model(torch.randn(2, 3, 56, 56))
