"""PSViT, ours in the paper's style: sizes and costs of its presets, and what its genes mean."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tests.models.test_deit import TimmVisionTransformer
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.interop.rename import load_theirs
from vitreous.models import VisionTransformer, build, config, list_models
from vitreous.models.deit import timm_names
from vitreous.models.psvit import genes_of, psvit_1d, psvit_2d
from vitreous.parts import Block, FeedForward, GridPool, ImageShape, LinePool, Mix, SharedAttention

# name, switches, tokens by stage at 224 pixels, millions of parameters, GMACs with a map counted once, and
# with every shared map computed again
PRESETS = [
    ("psvit_2d_tiny", {}, (784, 196, 49), 10.47, 1.283, 1.366),
    ("psvit_2d_small", {}, (784, 196, 49), 40.84, 4.603, 4.769),
    ("psvit_2d_base", {}, (784, 196, 49), 161.31, 17.355, 17.687),
    ("psvit_1d_tiny", {}, (197, 99, 50), 13.42, 1.213, 1.236),
    ("psvit_1d_small", {}, (197, 99, 50), 48.93, 4.302, 4.347),
    ("psvit_1d_base", {}, (197, 99, 50), 193.26, 16.820, 16.910),
    ("psvit_2d_small_image", {"classes": 10}, (64, 16, 4), 2.28, 0.021, None),
    ("psvit_1d_small_image", {"classes": 10}, (65, 33, 17), 0.69, 0.021, None),
    ("psvit_2d_small_image_12", {"classes": 10}, (64, 16, 4), 2.51, 0.022, None),
    ("psvit_2d_tiny_p16", {}, (196, 49, 16), 28.66, 1.160, None),
    ("psvit_2d_small_p16", {}, (196, 49, 16), 112.62, 4.475, None),
    ("psvit_1d_tiny_p8", {}, (785, 393, 197), 3.25, 1.338, None),
    ("psvit_1d_small_p8", {}, (785, 393, 197), 12.39, 4.521, None),
    # One mechanism at a time, on DeiT-tiny.
    ("psvit_1d_tiny", {"genes": "N" * 12, "dims": (192,), "heads": (3,)}, (197,), 5.72, 1.254, 1.254),
    ("psvit_1d_tiny", {"genes": "NS" * 6, "dims": (192,), "heads": (3,)}, (197,), 5.27, 1.122, None),
    (
        "psvit_2d_tiny",
        {"genes": "NNNNPNNNNNPN", "dims": (192,) * 3, "heads": (3,) * 3, "patch": 16},
        (196, 49, 16),
        6.38,
        0.606,
        None,
    ),
    (
        "psvit_1d_tiny",
        {"genes": "NNNNPNNNPNNN", "dims": (192,) * 3, "heads": (3,) * 3},
        (197, 99, 50),
        5.79,
        0.731,
        None,
    ),
    ("psvit_2d_tiny", {"genes": "NNPNNNNNPNNN"}, (784, 196, 49), 11.30, 1.452, 1.452),
]
every_preset = pytest.mark.parametrize(
    ("name", "switches", "tokens", "parameters", "macs", "executed"),
    PRESETS,
    ids=[f"{row[0]} {row[1].get('genes', '')}" for row in PRESETS],
)
SMALL_1D = {"image": ImageShape(3, 16, 16), "classes": 7, "dims": (8, 12, 16), "heads": (2, 3, 4), "patch": 2}
SMALL_2D = {"image": ImageShape(3, 16, 16), "classes": 7, "dims": (8, 16, 24), "heads": (2, 4, 6), "patch": 2}
SMALL = [psvit_1d(genes="NSPSSPNS", **SMALL_1D), psvit_2d(genes="NSPSSPNS", **SMALL_2D)]
both_kinds = pytest.mark.parametrize("described", SMALL, ids=["1d", "2d"])


def shared_products(described: VisionTransformer) -> int:
    """MACs of one more product in each layer that shares: tokens² · width."""
    layers = [each for each in cost(described).by_layer if each.name.startswith("layers.")]
    return sum(
        each.tokens**2 * each.width
        for each, gene in zip(layers, genes_of(described), strict=True)
        if gene == "S"
    )


@every_preset
def test_presets_have_the_size_and_cost_they_were_designed_for(
    name, switches, tokens, parameters, macs, executed
) -> None:
    described = config(name, **switches)
    counted = cost(described)
    assert described.source == "ours"
    assert round(counted.parameters / 1e6, 2) == parameters
    assert round(counted.macs / 1e9, 3) == macs
    assert executed in (None, round((counted.macs + shared_products(described)) / 1e9, 3))
    assert counted.macs <= counted.macs_executed <= counted.macs + shared_products(described)
    stages: dict[int, None] = {
        each.tokens: None for each in counted.by_layer if each.name.startswith("layers.")
    }
    assert tuple(stages) == tokens


@pytest.mark.parametrize("name", list_models("psvit_*"))
def test_the_closed_form_is_what_a_counter_of_operations_sees(name: str) -> None:
    described = config(name)
    with torch.device("meta"):
        model = build(described)
        images = torch.zeros(1, 3, described.image.height, described.image.width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    assert counter.get_total_flops() == 2 * cost(described).macs


@pytest.mark.parametrize("side", [192, 256, 384])
def test_other_image_sizes_have_the_tokens_that_follow(side: int) -> None:
    for name in ("psvit_1d_tiny", "psvit_2d_tiny", "psvit_2d_tiny_p16"):
        described = config(name, image_size=side)
        with torch.device("meta"):
            model = build(described)
            tokens = model.position(model.prefix(model.stem(torch.zeros(1, 3, side, side))))
            trace = [tokens := layer(tokens) for layer in model.layers]
        patch, prefix = described.stem.patch, tokens.prefix
        along, grid, expected = (side // patch) ** 2, side // patch, []
        for gene in genes_of(described):
            if gene == "P":
                along, grid = -(-along // 2), -(-grid // 2)
            expected.append(prefix + (along if "1d" in name else grid**2))
        assert [each.x.shape[1] for each in trace] == expected
        counted = [each.tokens for each in cost(described).by_layer if each.name.startswith("layers.")]
        assert counted == expected
    if side == 384:
        described = config("psvit_2d_tiny", image_size=side)
        assert {each.tokens for each in cost(described).by_layer[1:-1]} == {2304, 576, 144}
        assert round(cost(described).macs / 1e9, 2) == 5.19


@pytest.mark.parametrize(("side", "patch"), [(224, 16), (32, 4)])
def test_without_pooling_and_sharing_it_is_deit(side: int, patch: int) -> None:
    torch.manual_seed(0)
    described = config("psvit_1d_tiny", genes="N" * 12, dims=(192,), heads=(3,), patch=patch, image_size=side)
    theirs = TimmVisionTransformer(img_size=side, patch_size=patch, embed_dim=192, depth=12, num_heads=3)
    theirs, ours = theirs.double().eval(), build(described).double().eval()
    load_theirs(ours, theirs.state_dict(), timm_names(described))
    images = torch.randn(1, 3, side, side, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=1e-10)
    assert described.layers == config("deit_tiny").layers


def one_pass(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Logits and all gradients."""
    model.zero_grad()
    logits = model(images)
    logits.square().sum().backward()
    return [logits.detach(), *(each.grad.clone() for each in model.parameters())]


@both_kinds
def test_lending_the_map_equals_lending_queries_and_keys_gradients_included(described, monkeypatch) -> None:
    torch.manual_seed(0)
    model, results = build(described).double(), []
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    images = torch.randn(3, 3, 16, 16, dtype=torch.double)
    for as_map in (True, False):
        monkeypatch.setattr("vitreous.parts.attention_kernel.lent_as_map", lambda *_, chosen=as_map: chosen)
        results.append(one_pass(model, images))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=1e-10)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@both_kinds
@pytest.mark.parametrize("as_map", [True, False])
def test_checkpointing_changes_neither_logits_nor_gradients_where_maps_are_shared(
    described, as_map, monkeypatch
) -> None:
    monkeypatch.setattr("vitreous.parts.attention_kernel.lent_as_map", lambda *_: as_map)
    model, images = build(described).double(), torch.randn(3, 3, 16, 16, dtype=torch.double)
    plain = one_pass(model, images)
    model.set_grad_checkpointing()
    for one, other in zip(one_pass(model, images), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@both_kinds
def test_who_shares_has_no_queries_and_keys(described: VisionTransformer) -> None:
    for layer, gene in zip(build(described).layers, genes_of(described), strict=True):
        names = {name for name, _ in layer.named_parameters() if ".mixer." in name}
        assert any(".qkv." in name for name in names) == (gene != "S")


@both_kinds
def test_who_lends_learns_from_who_shares(described: VisionTransformer) -> None:
    model = build(described)
    lender = model.layers[0].branches[0].mixer
    nn.init.zeros_(lender.project.weight)  # so that nothing of its own result reaches the logits
    model(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert lender.qkv.weight.grad[:16].any()
    assert not lender.qkv.weight.grad[16:].any()


@both_kinds
def test_only_who_is_followed_by_a_sharer_lends(described: VisionTransformer) -> None:
    genes = genes_of(described)
    for number, layer in enumerate(described.layers):
        mixer = layer.branches[-2].mixer
        assert getattr(mixer, "lends", False) == (genes[number] != "S" and genes[number + 1 :][:1] == "S")


@pytest.mark.parametrize("genes", ["N", "NS", "NSSS", "NP", "NPS", "NNPSNPSS", "NPPP"])
def test_genes_can_be_read_back(genes: str) -> None:
    stages = genes.count("P") + 1
    for family in (psvit_1d, psvit_2d):
        for switch in ({}, {"norm_before_pool": True, "position_after_pool": True}):
            described = family(
                image=ImageShape(3, 16, 16),
                classes=7,
                genes=genes,
                dims=(8,) * stages,
                heads=(2,) * stages,
                patch=2,
                **switch,
            )
            assert genes_of(described) == genes
            assert len(described.layers) == len(genes)
            build(described)


def test_genes_of_other_models_are_read_too() -> None:
    assert genes_of(config("deit_tiny")) == "N" * 12
    assert genes_of(config("eit_mini")) == "N" * 5
    # A pool that stands as a layer of its own belongs to the next layer that attends.
    plain = psvit_2d(genes="NP", **{**SMALL_2D, "dims": (8, 16), "heads": (2, 4)})
    first, second = plain.layers
    assert isinstance(second, Block)
    pool, *others = second.branches
    apart = replace(plain, layers=(first, pool, Block(tuple(others))))
    assert genes_of(apart) == "NP"


@pytest.mark.parametrize(
    ("genes", "dims", "heads", "message"),
    [
        ("", (8,), (2,), "PSViT: the genes are ''; each layer is one letter of N, S and P, as in 'NSPSPS'"),
        ("NXS", (8,), (2,), "PSViT: the genes are 'NXS'; each layer is one letter of N, S and P"),
        (
            "SN",
            (8,),
            (2,),
            "PSViT: the genes are 'SN'; the first layer has none before it to share with; it is N",
        ),
        (
            "PN",
            (8, 8),
            (2, 2),
            "PSViT: the genes are 'PN'; a pool before the first layer is a larger patch; the first layer is "
            "N",
        ),
        (
            "NSPS",
            (8, 16, 32),
            (2, 2),
            "PSViT: the genes are 'NSPS', 1 times P and so 2 stages; dims are for 3 and heads for 2; one of "
            "each for every stage works",
        ),
        ("NSPS", (8, 16), (2,), "PSViT: the genes are 'NSPS', 1 times P and so 2 stages; dims are for 2"),
    ],
)
def test_genes_that_no_model_has_are_refused(genes, dims, heads, message) -> None:
    for family in (psvit_1d, psvit_2d):
        with pytest.raises(ConfigError) as refused:
            family(image=ImageShape(3, 16, 16), classes=7, genes=genes, dims=dims, heads=heads, patch=2)
        assert str(refused.value).startswith(message)


def test_what_a_part_cannot_do_is_refused_with_the_layer_in_front() -> None:
    for make, message in [
        (
            lambda: config("psvit_2d_tiny", heads=(3, 5, 12)),
            "layer 2, Attention: a width of 192 does not divide into 5 heads; ",
        ),
        (
            lambda: config("psvit_2d_tiny", dims=(96, 144, 384), depthwise=True),
            "layer 2, GridPool: a depthwise convolution makes multiples of 96 channels and 144 is none; ",
        ),
        (lambda: heads_that_differ(), "layer 1, SharedAttention: the lent map has 3 heads over 784 tokens, "),
    ]:
        with torch.device("meta"), pytest.raises(ConfigError) as refused:
            build(make())
        assert str(refused.value).startswith(message)


def heads_that_differ() -> VisionTransformer:
    described = config("psvit_2d_tiny")
    first, _, *others = described.layers
    return replace(described, layers=(first, Block((Mix(SharedAttention(6)), FeedForward(4))), *others))


def test_the_class_token_is_in_no_window_and_the_mean_counts_no_prefix() -> None:
    one, two = (build(described).eval() for described in SMALL)
    images = torch.randn(1, 3, 16, 16)
    assert one.forward_features(images).prefix == 1
    assert one.forward_features(images).x.shape[1] == 1 + 16
    assert two.forward_features(images).prefix == 0
    assert two.forward_features(images, as_map=True).shape == (1, 24, 2, 2)
    with pytest.raises(ConfigError, match="the features are a sequence without rows and columns"):
        one.forward_features(images, as_map=True)


def test_pools_start_by_their_fan_in_and_tables_behind_them_at_zero() -> None:
    torch.manual_seed(0)
    for switches, std in (({}, (9 * 64) ** -0.5), ({"depthwise": True}, 1 / 3)):
        model = build(config("psvit_2d_small_image", position_after_pool=True, **switches))
        pool, table = model.layers[2].branches[:2]
        assert abs(pool.conv.weight.std() / std - 1) < 0.05
        assert not pool.conv.bias.any()
        assert table.table.weight.shape == (1, 16, 128) and not table.table.weight.any()
        assert "layers.2.branches.1.table.weight" in model.no_weight_decay()
        assert abs(model.position.table.weight.std() / 0.02 - 1) < 0.1
    model = build(config("psvit_1d_small_image"))
    assert abs(model.layers[2].branches[0].project.weight.std() / 64**-0.5 - 1) < 0.05
    assert abs(model.layers[2].branches[2].widen.weight.std() / 0.02 - 1) < 0.05
    assert abs(model.prefix.token.std() / 0.02 - 1) < 0.2
    assert not any(each.bias.any() for each in model.modules() if isinstance(each, nn.Linear))


def test_switches_are_values_of_the_pools() -> None:
    one = config("psvit_1d_tiny", window=4, average=True)
    assert one.layers[4].branches[0] == LinePool(320, 4, average=True)
    two = config("psvit_2d_tiny", kernel=5, depthwise=True)
    assert two.layers[2].branches[0] == GridPool(192, 5, depthwise=True)


@pytest.mark.slow
@pytest.mark.parametrize("genes", ["NSPSPS", "NNPNPN"])
@pytest.mark.parametrize("kind", ["1d", "2d"])
def test_it_learns_256_digits_by_heart_with_and_without_sharing(kind: str, genes: str) -> None:
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images[:256], dtype=torch.float32)[:, None] / 8 - 1
    labels = torch.tensor(digits.target[:256])
    small = {"image_size": 8, "channels": 1, "classes": 10, "patch": 2}
    model = build(
        config(f"psvit_{kind}_small_image", genes=genes, dims=(32, 48, 64), heads=(2, 3, 4), **small)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(20):
        for batch in torch.randperm(256).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    with torch.no_grad():
        right = (model.eval()(images).argmax(dim=1) == labels).float().mean()
    assert right > 0.95
