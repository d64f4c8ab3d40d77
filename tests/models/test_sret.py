"""SReT against the authors' code: sizes, costs, names, and outputs; fixed orders at inference."""

import pytest
import torch
from torch import Tensor, nn

from tests.parity.recorded import assert_reproduced, files, recorded
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.sret import authors_names, sret
from vitreous.parts import ImageShape, Recursive, Sliced
from vitreous.parts.drop import DropPath
from vitreous.parts.residual import LearnedSumModule
from vitreous.parts.sliced import SlicedModule

SMALL = {
    "image": ImageShape(3, 32, 32),
    "classes": 7,
    "head_width": 8,
    "heads": (2, 4),
    "blocks": (2, 1),
    "ratio": 2,
}


# name, image size, parameters and MACs of the authors' modules, and both as published
@pytest.mark.parametrize(
    ("name", "size", "parameters", "macs", "published"),
    [
        ("sret_tiny_unsliced", 224, 4_755_979, 1_365_682_944, ("4.8M", 1.4)),
        ("sret_tiny", 224, 4_755_979, 1_112_444_672, ("4.8M", 1.1)),
        ("sret_large_tiny_unsliced", 224, 4_988_024, 1_417_715_456, ("5.0M", 1.4)),
        ("sret_large_tiny", 224, 4_988_024, 1_164_477_184, ("5.0M", 1.2)),
        ("sret_large_tiny_16_14_1", 224, 4_988_024, 1_224_537_856, ("5.0M", 1.2)),
        ("sret_small_unsliced", 224, 20_899_692, 4_671_381_960, ("20.9M", 4.7)),
        ("sret_small", 224, 20_899_692, 4_172_819_112, ("20.9M", 4.2)),
        ("sret_tiny_unsliced", 384, 4_853_259, 6_408_361_984, ("4.9M", 6.4)),
        ("sret_small_unsliced", 384, 21_091_212, 18_443_154_240, (None, None)),
        ("sret_small_unsliced", 512, 21_317_004, 42_671_708_352, ("21.3M", 42.7)),
        ("sret_tiny", 384, 4_853_259, 4_221_294_592, (None, None)),
        ("sret_small", 384, 21_091_212, 14_137_365_312, (None, None)),
        ("sret_small", 512, 21_317_004, 29_063_289_024, (None, None)),
    ],
)
def test_sizes_and_costs_are_those_of_the_authors_modules(name, size, parameters, macs, published) -> None:
    counted = cost(config(name, image_size=size))
    assert (counted.parameters, counted.macs) == (parameters, macs)
    assert published[0] in (None, f"{parameters / 1e6:.1f}M")
    assert published[1] in (None, round(macs / 1e9, 1))


@pytest.mark.parametrize(
    ("name", "stem", "position", "pools", "blocks", "between", "head"),
    [
        (
            "sret_tiny",
            56_640,
            50_176,
            3_840,
            (93_268, 924_560, 2_210_775),
            (33_800, 332_820, 792_588),
            257_512,
        ),
        (
            "sret_small",
            216_972,
            98_784,
            7_560,
            (320_552, 3_190_340, 7_638_636),
            (256_544, 2_552_780, 6_111_516),
            506_008,
        ),
    ],
)
def test_parameters_lie_where_they_lie_in_the_authors_modules(
    name, stem, position, pools, blocks, between, head
) -> None:
    described = config(name)
    with torch.device("meta"):
        model = build(described)

    def count(*modules: nn.Module) -> int:
        return sum(each.numel() for module in modules for each in module.parameters())

    stages: list[list[nn.Module]] = [[]]
    for layer, module in zip(described.layers, model.layers, strict=True):
        stages[-1].append(module) if isinstance(layer, Recursive) else stages.append([])
    assert count(model.stem) == stem
    assert count(model.position) == position
    assert count(model.layers[2], model.layers[8]) == pools
    assert tuple(count(*(each.block for each in stage)) for stage in stages) == blocks
    assert tuple(count(*(each.between for each in stage)) for stage in stages) == between
    assert count(model.head) == head
    sums = [each for each in model.modules() if isinstance(each, LearnedSumModule)]
    assert count(*sums) == 80


def test_slices_save_a_fifth_of_the_cost_and_three_fifths_of_the_attention_products() -> None:
    sliced, whole = (cost(config(name)) for name in ("sret_tiny", "sret_tiny_unsliced"))
    assert round(1 - sliced.macs / whole.macs, 3) == 0.185
    products = [each.macs - each.macs_without_attention_products for each in (sliced, whole)]
    assert round(1 - products[0] / products[1], 3) == 0.602


def from_recorded(sizes: dict) -> VisionTransformer:
    groups = (sizes["groups_first_turn"], sizes["groups_second_turn"])
    return sret(
        image=ImageShape(3, sizes["image_size"], sizes["image_size"]),
        classes=sizes["classes"],
        head_width=sizes["base_dims"][0],
        heads=tuple(sizes["heads"]),
        blocks=tuple(sizes["blocks"]),
        ratio=sizes["mlp_ratio"],
        between_ratio=sizes["nll_mlp_ratio"],
        slices=tuple(zip(*groups, strict=True)) if groups[0] else None,
    )


def follow(model: nn.Module, orders: list[Tensor]) -> None:
    """Puts recorded orders in the place of our own, in the order of the calls."""
    fixed = [
        order
        for module in model.modules()
        if isinstance(module, SlicedModule)
        for order in module.buffers(recurse=False)
    ]
    for ours, theirs in zip(fixed, orders, strict=True):
        ours.copy_(theirs)


@pytest.mark.parametrize("name", files("sret_*"))
def test_recorded_models_give_the_same_logits_loss_and_gradients(name: str) -> None:
    run = recorded(name)
    described = from_recorded(run.sizes)
    model = build(described)
    load_theirs(model, run.weights, authors_names(described))
    back = to_theirs(model.state_dict(), authors_names(described))
    assert back.keys() == run.weights.keys()
    assert all(torch.equal(back[key], weight) for key, weight in run.weights.items())
    orders = run.under("permutation")
    follow(model, [orders[number] for number in sorted(orders)])
    assert_reproduced(model, run, authors_names(described))


@pytest.mark.parametrize("name", ["sret_tiny", "sret_large_tiny_unsliced", "sret_small"])
def test_names_go_to_the_authors_and_back(name: str) -> None:
    described = config(name)
    with torch.device("meta"):
        ours = build(described).state_dict()
    table = authors_names(described)
    theirs = to_theirs(ours, table)
    # 341 parameters and 9 buffers of BatchNorm; the 16 tensors of each of 10 blocks stand there twice.
    assert (len(ours), len(theirs)) == (350, 510)
    assert (
        theirs["transformers.1.blocks.8.attn.qkv.weight"]
        is theirs["transformers.1.blocks.10.attn.qkv.weight"]
    )
    assert list(to_ours(theirs, table)) == list(ours)


def test_two_names_of_one_block_must_hold_the_same_values() -> None:
    described = sret(**SMALL, slices=None)
    theirs = to_theirs(build(described).state_dict(), authors_names(described))
    theirs["transformers.0.blocks.2.norm1.bias"] = theirs["transformers.0.blocks.2.norm1.bias"] + 1
    with pytest.raises(ConfigError, match=r"two unequal weights would get the name 'layers\.0\.block\."):
        load_theirs(build(described), theirs, authors_names(described))


def test_one_slice_everywhere_is_the_model_without_slices() -> None:
    assert sret(**SMALL, slices=((1, 1), (1, 1))) == sret(**SMALL, slices=None)


def test_an_image_is_classified_alike_every_time_and_in_every_copy_of_the_model() -> None:
    described = sret(**SMALL, slices=((8, 2), (4, 2)))
    model, again = build(described).eval(), build(described)
    again.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    first = model(images)
    torch.manual_seed(5)
    assert torch.equal(model(images), first)
    assert torch.equal(again.eval()(images), first)
    assert not any("order" in name for name in model.state_dict())


def test_only_shuffled_blocks_differ_in_their_seed() -> None:
    seeds = [
        layer.block.branches[0].mixer.seed
        for layer in config("sret_tiny").layers
        if isinstance(layer, Recursive) and isinstance(layer.block.branches[0].mixer, Sliced)
    ]
    assert seeds == [1, 2, 1, 1, 1, 1, 1]


def test_drop_path_follows_the_released_rule_and_spares_the_layers_between() -> None:
    with torch.device("meta"):
        model = build(config("sret_tiny"), drop_path=0.1)
    rates = [
        sorted({each.p for each in layer.modules() if isinstance(each, DropPath)}) for layer in model.layers
    ]
    expected = [0, 0.005, None, 0.02, 0.025, 0.03, 0.035, 0.04, None, 0.07, 0.075, 0.08]
    assert [rate[0] if rate else None for rate in rates] == pytest.approx(expected)
    assert all(len(rate) <= 1 for rate in rates)
    assert not any(isinstance(each, DropPath) for each in model.layers[0].between.modules())


def test_weights_start_as_torch_makes_them_and_only_the_position_map_is_drawn_anew() -> None:
    torch.manual_seed(0)
    model = build(config("sret_tiny", blocks=(1, 1, 1)))
    qkv = model.layers[0].block.branches[0].mixer.mixer.qkv.weight
    assert qkv.std().item() == pytest.approx(0.072, abs=0.002)
    assert model.position.table.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model.position.table.weight.shape == (1, 64, 28, 28)
    assert model.no_weight_decay() == {"position.table.weight"}


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (
            "sret_tiny",
            100,
            "sret_tiny: the tokens of an image of 100×100 pixels do not split into [8-4-1, 2-1-1] slices; "
            "96×96 or 128×128 or any size with slices=None does",
        ),
        (
            "sret_large_tiny_16_14_1",
            384,
            "sret_large_tiny_16_14_1: the tokens of an image of 384×384 pixels do not split into "
            "[16-14-1, 1-1-1] slices; 224×224 or 448×448 or any size with slices=None does",
        ),
        (
            "sret_small",
            (8, 40),
            "sret_small: the tokens of an image of 8×40 pixels do not split into [8-4-1, 2-1-1] slices; "
            "32×64 or any size with slices=None does",
        ),
    ],
)
def test_image_sizes_that_do_not_split_are_refused_with_the_nearest_that_do(name, size, message) -> None:
    with pytest.raises(ConfigError) as refused:
        config(name, image_size=size)
    assert str(refused.value) == message


@pytest.mark.parametrize("side", range(32, 513, 32))
def test_every_multiple_of_32_pixels_splits(side: int) -> None:
    assert config("sret_tiny", image_size=side).image.height == side
    if side % 224 == 0:
        assert config("sret_large_tiny_16_14_1", image_size=side).image.height == side


def test_numbers_for_different_numbers_of_stages_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"heads \(2, 4\), blocks \(2, 5, 3\) and slices"):
        config("sret_tiny", heads=(2, 4))


@pytest.mark.parametrize("size", [(32, 64), (37, 50)])
def test_without_slices_any_image_runs_rectangles_too(size: tuple[int, int]) -> None:
    described = sret(**{**SMALL, "image": ImageShape(1, *size)}, slices=None)
    tokens = build(described).eval().forward_features(torch.randn(2, 1, *size))
    rows, columns = (-(-side // 16) for side in size)
    assert tokens.grid == (rows, columns)
