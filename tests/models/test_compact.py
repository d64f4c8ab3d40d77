"""ViT-Lite, CVT and CCT against the released code: counts, names, tables, and outputs to 1e-5."""

import math

import pytest
import torch
from torch import Tensor, nn

from tests.parity.recorded import assert_reproduced, recorded
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError, VerifyError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.compact import authors_names, cct, cvt, vit_lite
from vitreous.parts import (
    Attention,
    Block,
    FeedForward,
    ImageShape,
    LayerNorm,
    LearnedTable,
    Mix,
    NoNorm,
    Normalize,
    Sinusoid1D,
)

TABLES = {"learnable": LearnedTable(), "sine": Sinusoid1D()}


def from_recorded(family: str, sizes: dict) -> VisionTransformer:
    shared = {
        "image": ImageShape(3, sizes["image_size"], sizes["image_size"]),
        "classes": sizes["classes"],
        "width": sizes["width"],
        "depth": sizes["depth"],
        "heads": sizes["heads"],
        "ratio": sizes["mlp_ratio"],
        "table": TABLES[sizes["position"]],
    }
    if family == "cct":
        return cct(
            **shared,
            kernel=sizes["conv_kernel"],
            convs=sizes["conv_layers"],
            stride=sizes["conv_stride"],
            padding=sizes["conv_padding"],
        )
    return {"vit_lite": vit_lite, "cvt": cvt}[family](**shared, patch=sizes["patch"])


@pytest.mark.parametrize("family", ["vit_lite", "cvt", "cct"])
def test_recorded_models_give_the_same_logits_loss_and_gradients(family: str) -> None:
    run = recorded(family)
    described = from_recorded(family, run.sizes)
    model = build(described)
    load_theirs(model, run.weights, authors_names(described))
    assert_reproduced(model, run, authors_names(described))


@pytest.mark.parametrize(
    ("name", "ten", "hundred", "gmacs"),
    [
        ("vit_lite_7_4", 3_716_874, 3_740_004, 0.2545),
        ("cvt_7_4", 3_716_619, 3_739_749, 0.2504),
        ("cct_7_3x1", 3_760_139, 3_783_269, 1.1816),
    ],
)
def test_the_seven_layer_models_count_as_the_released_modules(name, ten, hundred, gmacs) -> None:
    assert cost(config(name, classes=10)).parameters == ten
    assert cost(config(name, classes=100)).parameters == hundred
    assert round(cost(config(name, classes=10)).macs / 1e9, 4) == gmacs


# What the repository prints, in millions and in billions without the products inside attention.
PRINTED = [
    ("vit_lite_7_4", {"classes": 10}, 3.717, 0.239),
    ("vit_lite_6_4", {"classes": 10}, 3.191, 0.205),
    ("cvt_7_4", {"classes": 10}, 3.717, 0.236),
    ("cvt_6_4", {"classes": 10}, 3.190, 0.202),
    ("cct_2_3x2", {"classes": 10}, 0.284, 0.033),
    ("cct_4_3x2", {"classes": 10}, 0.482, 0.046),
    ("cct_6_3x2", {"classes": 10}, 3.327, 0.241),
    ("cct_7_3x2", {"classes": 10}, 3.853, 0.275),
    ("cct_7_3x1", {"classes": 10}, 3.760, 0.947),
    ("cct_6_3x1", {"classes": 10, "table": Sinusoid1D()}, 3.168, 0.813),
    ("cct_14_7x2", {}, 22.36, 5.11),
    ("cct_14_7x2", {"image_size": 384}, 22.51, 15.02),
]


@pytest.mark.parametrize(("name", "switches", "millions", "gmacs"), PRINTED)
def test_counts_round_to_the_printed_ones(name, switches, millions, gmacs) -> None:
    counted = cost(config(name, **switches))
    last_digit = 0.01 if millions > 20 else 0.001
    assert counted.parameters / 1e6 == pytest.approx(millions, abs=last_digit)
    assert counted.macs_without_attention_products / 1e9 == pytest.approx(gmacs, abs=last_digit)


@pytest.mark.parametrize(("name", "tensors"), [("vit_lite_7_4", 85), ("cvt_7_4", 86), ("cct_14_7x2", 163)])
def test_names_go_to_the_authors_and_back(name: str, tensors: int) -> None:
    described = config(name)
    with torch.device("meta"):
        ours = build(described).state_dict()
    theirs = to_theirs(ours, authors_names(described))
    assert len(theirs) == tensors
    assert "classifier.blocks.6.linear2.bias" in theirs and "tokenizer.conv_layers.0.0.weight" in theirs
    assert list(to_ours(theirs, authors_names(described))) == list(ours)


def test_the_stream_itself_is_normalised_in_the_middle_of_a_block() -> None:
    norm = LayerNorm(1e-5)
    assert (
        config("cct_14_7x2").layers
        == (Block((Mix(Attention(6, qkv_bias=False), norm), Normalize(norm), FeedForward(3, NoNorm()))),) * 14
    )


def test_kernels_stride_and_pad_as_in_the_released_functions() -> None:
    stems = [config(name).stem for name in ("cct_7_3x1", "cct_2_3x2", "cct_14_7x2")]
    assert [(stem.kernel, stem.stride, stem.padding, stem.convs) for stem in stems] == [
        (3, 1, 1, 1),
        (3, 1, 1, 2),
        (7, 2, 3, 2),
    ]
    assert cost(config("cct_7_7x2")).by_layer[0].tokens == 14 * 14


def their_sinusoid(tokens: int, width: int) -> Tensor:
    """The table of the released code: angles rounded to float32 before sine and cosine."""
    angles = [[at / 10000 ** (2 * (i // 2) / width) for i in range(width)] for at in range(tokens)]
    table = torch.tensor(angles, dtype=torch.float32)
    table[:, 0::2], table[:, 1::2] = table[:, 0::2].sin(), table[:, 1::2].cos()
    return table[None]


@pytest.mark.parametrize(("name", "tokens"), [("vit_lite_2_4", 65), ("cvt_2_4", 64), ("cct_6_3x1", 256)])
def test_released_sinusoids_are_recognised_and_other_tables_refused(name: str, tokens: int) -> None:
    described = config(name, classes=10, depth=1, table=Sinusoid1D())
    model = build(described)
    theirs = to_theirs(model.state_dict(), authors_names(described))
    table = their_sinusoid(tokens, described.stem.width)
    load_theirs(model, {**theirs, "classifier.positional_emb": table}, authors_names(described))
    with pytest.raises(VerifyError, match="differs from what the model computes"):
        load_theirs(model, {**theirs, "classifier.positional_emb": table.flip(1)}, authors_names(described))


def test_a_sinusoid_is_not_trained_and_no_table_takes_any_image_size() -> None:
    learned, fixed, none = (
        config("cct_2_3x2", classes=10, table=table) for table in (LearnedTable(), Sinusoid1D(), None)
    )
    assert cost(learned).parameters - cost(fixed).parameters == 64 * 128
    assert cost(fixed).parameters == cost(none).parameters
    model, images = build(none).eval(), torch.randn(1, 3, 24, 40)
    assert model.forward_features(images).grid == (6, 10)
    with pytest.raises(ConfigError, match="a grid of 8×8 tokens and the images give 6×10 tokens"):
        build(learned)(images)


def test_weights_start_as_in_the_released_code() -> None:
    torch.manual_seed(0)
    model = build(config("vit_lite_6_4", depth=1))
    assert not model.prefix.token.any()
    assert abs(model.position.table.weight.std() / 0.2 - 1) < 0.05
    assert abs(model.layers[0].branches[0].mixer.qkv.weight.std() / 0.02 - 1) < 0.02
    assert abs(model.stem.conv.weight.std() / math.sqrt(2 / 48) - 1) < 0.05
    linear = [each for each in model.modules() if isinstance(each, nn.Linear) and each.bias is not None]
    assert len(linear) == 4 and not any(each.bias.any() for each in linear)
    convs = build(config("cct_2_3x2", depth=1)).stem.convs
    assert abs(convs[1].weight.std() / math.sqrt(2 / (9 * 64)) - 1) < 0.05


@pytest.mark.parametrize(
    ("alias", "name"),
    [("ViT-Lite-7/4", "vit_lite_7_4"), ("cvt_2_4_32", "cvt_2_4"), ("CCT-14/7x2", "cct_14_7x2")],
)
def test_the_papers_and_the_repositorys_names_resolve(alias: str, name: str) -> None:
    assert config(alias) == config(name)
