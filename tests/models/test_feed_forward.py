"""Feed-forward only against the released code: counts, names, position, and outputs to 1e-5."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.parity.recorded import assert_reproduced, recorded
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import build, config
from vitreous.models.feed_forward import authors_names, feed_forward
from vitreous.parts import (
    Attention,
    Block,
    FeedForward,
    GridTable,
    ImageShape,
    LayerNorm,
    Mix,
    Transposed,
)

SIZES = [("tiny", 192, 12, 197, 16), ("base", 768, 12, 197, 16), ("large", 1024, 24, 50, 32)]


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        ("feed_forward_tiny", 7_676_332, 1.4416),
        ("feed_forward_base", 61_943_020, 14.1324),
        ("feed_forward_large", 206_363_576, 10.7130),
        ("attention_only_tiny", 4_039_360, 1.0885),
    ],
)
def test_counts_are_those_of_the_released_modules(name: str, parameters: int, gmacs: float) -> None:
    counted = cost(config(name))
    assert counted.parameters == parameters
    assert round(counted.macs / 1e9, 4) == gmacs


@pytest.mark.parametrize(("size", "width", "depth", "tokens", "patch"), SIZES)
def test_counts_equal_their_closed_form(size, width, depth, tokens, patch) -> None:
    counted, pixels = cost(config(f"feed_forward_{size}")), 3 * patch**2
    outside = (pixels + 1) * width + 2 * width + 196 * width + 2 * width + (width + 1) * 1000
    layer = 8 * width**2 + 7 * width + 8 * tokens**2 + 7 * tokens
    assert counted.parameters == outside + depth * layer
    products = 8 * tokens * width**2 + 8 * width * tokens**2
    assert counted.macs == (tokens - 1) * pixels * width + depth * products + width * 1000


@pytest.mark.parametrize(("size", "width", "depth", "tokens", "patch"), SIZES)
def test_names_and_shapes_are_those_of_the_released_weights(size, width, depth, tokens, patch) -> None:
    described = config(f"feed_forward_{size}")
    with torch.device("meta"):
        ours = build(described).state_dict()
    theirs = to_theirs(ours, authors_names(described))
    assert len(theirs) == 9 + 12 * depth
    assert list(to_ours(theirs, authors_names(described))) == list(ours)
    last = f"blocks.{depth - 1}."
    for name, shape in {
        "cls_token": (1, 1, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "pos_encoding.pos_embed": (1, width, 14, 14),
        "pos_encoding.cls_pos_embed": (1, 1, width),
        f"{last}mlp1.fc1.weight": (4 * width, width),
        f"{last}norm1.weight": (width,),
        f"{last}mlp2.fc1.weight": (4 * tokens, tokens),
        f"{last}mlp2.fc2.bias": (tokens,),
        f"{last}norm2.weight": (tokens,),
        "norm.weight": (width,),
        "head.weight": (1000, width),
    }.items():
        assert tuple(theirs[name].shape) == shape, name


def test_the_recorded_model_gives_the_same_logits_loss_and_gradients() -> None:
    run = recorded("feed_forward")
    described = feed_forward(
        image=ImageShape(3, run.sizes["image_size"], run.sizes["image_size"]),
        **{name: run.sizes[name] for name in ("classes", "width", "depth", "patch")},
        table=GridTable((4, 4)),
        norm=LayerNorm(1e-5),  # the recorded class had torch's own ε; the named models have 1e-6
    )
    model = build(described)
    load_theirs(model, run.weights, authors_names(described))
    assert_reproduced(model, run, authors_names(described))


def test_the_features_come_first_and_the_mixing_second() -> None:
    assert config("feed_forward_tiny").layers[0] == Block((FeedForward(4), Transposed(FeedForward(4))))
    assert config("attention_only_tiny").layers[0] == Block(
        (Mix(Attention(3)), Transposed(Mix(Attention(1))))
    )


def test_with_their_last_maps_at_zero_all_layers_are_the_identity() -> None:
    model = build(config("feed_forward_small_image", width=16, depth=2))
    for name, parameter in model.named_parameters():
        if ".narrow." in name:
            nn.init.zeros_(parameter)
    images = torch.randn(2, 3, 32, 32)
    before = model.position(model.prefix(model.stem(images)))
    assert torch.equal(model.forward_features(images).x, before.x)


def test_without_the_mixing_the_class_token_learns_nothing_of_the_image() -> None:
    described = config("feed_forward_small_image", width=16, depth=2)
    model, images = build(described).eval(), torch.randn(2, 3, 32, 32)
    assert not torch.allclose(*model(images))
    alone = build(replace(described, layers=(FeedForward(4),) * 2)).eval()
    assert torch.equal(*alone(images))


def test_large_reads_its_14_by_14_positions_as_means_of_2_by_2() -> None:
    described = config("feed_forward_large", width=8, depth=1)
    position = build(described).position
    assert position.table.weight.shape == (1, 8, 14, 14)
    tokens = build(described).prefix(build(described).stem(torch.zeros(1, 3, 224, 224)))
    means = nn.functional.avg_pool2d(position.table.weight, 2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(position.table(tokens)[:, 1:], means, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    ("size", "grid"), [((256, 256), "16×16"), ((384, 384), "24×24"), ((224, 208), "14×13")]
)
def test_images_of_another_size_are_refused_at_run_time(size: tuple[int, int], grid: str) -> None:
    model = build(config("feed_forward_tiny", width=8, depth=1))
    with pytest.raises(
        ConfigError, match=f"a grid of 14×14 tokens and the images give {grid} tokens; resize"
    ):
        model(torch.zeros(1, 3, *size))


def test_a_rest_of_a_patch_is_refused_too() -> None:
    model = build(config("feed_forward_tiny", width=8, depth=1))
    with pytest.raises(ConfigError, match="230×230 pixels does not divide into patches of 16×16"):
        model(torch.zeros(1, 3, 230, 230))
    with pytest.raises(ConfigError, match="stem, PatchStem: an image of 230×230 pixels"):
        cost(config("feed_forward_tiny", image_size=230))


def test_built_for_another_size_the_maps_over_tokens_are_others() -> None:
    larger = cost(config("feed_forward_base", image_size=384, depth=1))
    usual = cost(config("feed_forward_base", depth=1))
    assert larger.parameters - usual.parameters == 8 * 577**2 + 7 * 577 - 8 * 197**2 - 7 * 197
    narrow = cost(config("feed_forward_base", image_size=384, depth=1, token_ratio=788 / 577))
    assert larger.parameters - narrow.parameters == 2_666_317 - 910_717


def test_197_tokens_leave_attention_over_features_one_head() -> None:
    with pytest.raises(ConfigError) as refused:
        build(config("attention_only_tiny", feature_heads=2))
    assert str(refused.value) == (
        "layer 0, Transposed: inside it are 192 tokens of 197 channels, without a grid, a position or lent "
        "attention: Attention: a width of 197 does not divide into 2 heads; 1, 197 heads do"
    )


def test_every_name_says_where_it_comes_from() -> None:
    sources = {
        size: config(f"feed_forward_{size}").source for size in ("tiny", "base", "large", "small_image")
    }
    assert set(sources.values()) == {"authors' code", "ours"} and sources["small_image"] == "ours"
    assert config("attention_only_tiny").source == "ours"
    assert config("FF-tiny") == config("linear_tiny") == config("feed_forward_tiny")
