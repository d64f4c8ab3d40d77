"""Parameters and MACs beside the numbers of the papers and of the authors' own modules."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.models.entries import shrink
from tests.models.families import FAMILIES
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.models import VisionTransformer, build, config, list_models
from vitreous.models.catalog import CATALOG
from vitreous.models.eit import SIZES, attention_channels
from vitreous.parts import (
    Attention,
    Block,
    FeedForward,
    Mix,
    Part,
    PatchStem,
    Recursive,
    SharedAttention,
)

# name, switches, parameters, all MACs, MACs without the products inside attention (None: not recorded)
ROWS = [
    ("eit_mini", {}, 3_512_750, 1_926_348_500, 1_729_782_500),
    ("eit_tiny", {}, 8_927_230, 4_212_684_870, 3_832_657_270),
    ("eit_base", {}, 15_972_280, 7_073_444_400, 6_507_334_320),
    ("eit_large", {}, 25_305_592, 10_765_864_272, 9_998_470_608),
    # with the released factories' pre-logits
    ("eit_mini", {"pre_logits": 768}, 4_223_518, None, None),
    ("eit_tiny", {"pre_logits": 768}, 9_619_438, None, None),
    ("eit_base", {"pre_logits": 768}, 16_648_248, None, None),
    ("eit_large", {"pre_logits": 768}, 25_966_712, None, None),
    # without the convolutions beside attention
    ("eit_mini", {"eit_t": False}, 4_210_250, 2_309_168_000, None),
    ("eit_tiny", {"eit_t": False}, 11_074_480, 5_300_161_680, None),
    ("eit_base", {"eit_t": False}, 19_961_800, 8_997_244_800, None),
    ("eit_large", {"eit_t": False}, 31_898_216, 13_840_507_520, None),
    # small images: EIT and the plain control
    ("eit_small_image", {"classes": 10}, 3_079_010, 211_790_000, None),
    ("eit_small_image", {"classes": 100}, 3_101_600, 211_812_500, None),
    ("eit_small_image", {"classes": 200, "image_size": 64}, 3_126_700, 911_773_500, None),
    ("eit_small_image", {"classes": 10, "image_size": 28, "channels": 1}, 3_074_510, 158_237_000, None),
    ("vit_small_image", {"classes": 10}, 3_798_010, 255_083_000, None),
    ("vit_small_image", {"classes": 100}, 3_820_600, 255_105_500, None),
    ("vit_small_image", {"classes": 200, "image_size": 64}, 3_893_700, 1_131_994_500, None),
    ("vit_small_image", {"classes": 10, "image_size": 28, "channels": 1}, 3_786_260, 193_948_500, None),
    ("eit_small_image", {"classes": 10, "pre_logits": 768}, 3_276_958, None, None),
    ("eit_small_image", {"classes": 100, "pre_logits": 768}, 3_346_168, None, None),
    # one component at a time
    ("eit_small_image", {"classes": 10, "patch": 4, "eit_t": False}, 3_781_760, 255_083_000, None),
    ("eit_small_image", {"classes": 10, "patch": 4}, 3_084_260, 205_646_000, None),
    ("eit_small_image", {"classes": 10, "eit_t": False}, 3_776_510, 261_227_000, None),
    ("eit_small_image", {"classes": 10, "position": True}, 3_079_010 + 16_250, 211_790_000, None),
    # LSRA, ours
    ("lsra_small_image", {"classes": 10}, 2_817_760, 193_578_900, None),
    ("lsra_small_image", {"classes": 10, "patch": 4, "position": True}, 2_839_260, 187_434_900, None),
    ("lsra_mini", {}, 3_251_500, 1_792_678_650, None),
    ("lsra_tiny", {}, 8_415_680, 3_983_193_440, None),
    ("lsra_base", {}, 15_046_760, 6_675_850_400, None),
    ("lsra_large", {}, 23_986_856, 10_225_926_080, None),
    # a plain ViT/16 of the same width
    ("eit_mini", {"patch": 16, "eit_t": False, "position": True}, 4_259_500, None, None),
    ("eit_tiny", {"patch": 16, "eit_t": False, "position": True}, 11_139_490, None, None),
    ("eit_base", {"patch": 16, "eit_t": False, "position": True}, 20_040_600, None, None),
    ("eit_large", {"patch": 16, "eit_t": False, "position": True}, 31_989_624, None, None),
    ("deit_tiny", {}, 5_717_416, 1_253_683_200, 1_074_851_328),
]


@pytest.mark.parametrize(
    ("name", "switches", "parameters", "macs", "without"),
    ROWS,
    ids=[" ".join([row[0], *map(str, row[1].items())]) for row in ROWS],
)
def test_counts_equal_those_of_the_authors_modules(name, switches, parameters, macs, without) -> None:
    counted = cost(config(name, **switches))
    assert counted.parameters == parameters
    assert macs in (None, counted.macs)
    assert without in (None, counted.macs_without_attention_products)


@pytest.mark.parametrize(
    ("size", "published"), [("mini", 0.874), ("tiny", 2.314), ("base", 4.153), ("large", 6.610)]
)
def test_a_plain_control_of_the_same_width_costs_what_was_measured(size: str, published: float) -> None:
    counted = cost(config(f"eit_{size}", patch=16, eit_t=False, position=True))
    assert round(counted.macs / 1e9, 3) == published


@pytest.mark.parametrize("name", [*SIZES])
def test_eits_counts_equal_their_closed_form(name: str) -> None:
    described = config(f"eit_{name}")
    size = SIZES[name]
    width, depth, heads, kernel = size["width"], size["depth"], size["heads"], size["kernel"]
    before_pool = (described.image.height + 2 * (kernel // 2) - kernel) // size["stride"] + 1
    grid = described.stem.out_shape(described.image).grid
    patches = grid[0] * grid[1]
    parameters = (3 * kernel**2 + 1) * width + width + 2 * width + (width + 1) * 1000
    macs = 3 * kernel**2 * width * before_pool**2 + width * 1000
    for layer in range(depth):
        a = attention_channels(layer, width, depth, heads)
        c = width - a
        parameters += 8 * width**2 + 9 * width + 4 * a**2 + 4 * a + 9 * c
        macs += (patches + 1) * (4 * a**2 + 8 * width**2) + 2 * (patches + 1) ** 2 * a + 9 * c * patches
    assert (cost(described).parameters, cost(described).macs) == (parameters, macs)


@pytest.mark.parametrize("described", FAMILIES.values(), ids=FAMILIES)
def test_layers_add_up_and_name_what_leaves_them(described: VisionTransformer) -> None:
    counted, model = cost(described), build(described)
    layers = [f"layers.{number}" for number in range(len(described.layers))]
    names = ["stem", "prefix", "position", *layers, "head"]
    assert [each.name for each in counted.by_layer] == names
    assert sum(each.macs for each in counted.by_layer) == counted.macs
    assert sum(each.parameters for each in counted.by_layer) == counted.parameters
    assert counted.parameters == sum(each.numel() for each in model.parameters())
    image = torch.randn(1, described.image.channels, described.image.height, described.image.width)
    left = [model.stem(image)]
    for module in (model.prefix, model.position, *model.layers):
        left.append(module(left[-1]))
    leaving = [(each.tokens, each.width) for each in counted.by_layer]
    assert leaving == [*(tuple(each.x.shape[1:]) for each in left), (1, described.classes)]


@pytest.mark.parametrize("name", list_models())
def test_the_closed_form_is_what_torch_counts_when_the_model_runs(name: str) -> None:
    # One turn more multiplies once more: two tell it all, and 504 would take half a minute.
    switches = {"times": 2} if CATALOG[name].numbers.get("times", 0) > 2 else {}
    described = config(name, **switches)
    image = described.image
    with torch.device("meta"):  # nothing is computed there, and both products of attention are seen
        model = build(described).eval()
        images = torch.empty(1, image.channels, image.height, image.width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    counted = cost(described)
    assert counter.get_total_flops() == 2 * counted.macs
    assert counted.parameters == sum(each.numel() for each in model.parameters())


TOKENS, WIDTH = 17, 12
LENDING = Block((Mix(Attention(3, lends=True)), FeedForward(4)))
SHARING = Block((Mix(SharedAttention(3)), FeedForward(4)))


def with_layers(*layers: Part) -> VisionTransformer:
    small = config("deit_tiny", width=WIDTH, depth=1, heads=3, patch=4, image_size=16, classes=5)
    return replace(small, layers=layers)


def test_lending_attention_costs_nothing_more() -> None:
    plain = Block((Mix(Attention(3)), FeedForward(4)))
    assert cost(with_layers(LENDING)).macs == cost(with_layers(plain)).macs


def test_a_map_that_several_layers_use_counts_once() -> None:
    alone, shared = (cost(with_layers(LENDING, *(SHARING,) * times)) for times in (0, 2))
    product = TOKENS**2 * WIDTH
    attention = shared.macs - shared.macs_without_attention_products
    assert attention == alone.macs - alone.macs_without_attention_products + 2 * product
    saved = cost(with_layers(LENDING, LENDING, LENDING)).parameters - shared.parameters
    assert saved == 2 * (2 * WIDTH**2 + 2 * WIDTH)


def test_a_map_that_is_computed_again_counts_as_executed_alone() -> None:
    executed = cost(with_layers(LENDING, SHARING))  # 17 tokens, heads of 4: q and k are less than the map
    assert executed.macs_executed == executed.macs + TOKENS**2 * WIDTH
    kept = cost(replace(with_layers(LENDING, SHARING), stem=PatchStem(8, WIDTH)))  # 5 tokens: the map is less
    assert kept.macs_executed == kept.macs


def test_a_weight_that_is_applied_several_times_is_one_parameter_and_costs_each_time() -> None:
    block = Block((Mix(Attention(3)), FeedForward(4)))
    once, often = cost(with_layers(block)), cost(with_layers(Recursive(block, 5)))
    assert often.parameters == once.parameters
    assert often.by_layer[3].macs == 5 * once.by_layer[3].macs


def test_a_layer_says_what_it_shares_and_with_whom() -> None:
    block = Block((Mix(Attention(3)), FeedForward(4)))
    layers = (block, LENDING, SHARING, SHARING, Recursive(block, 2), Recursive(LENDING, 3), SHARING)
    assert [each.shares for each in cost(with_layers(*layers)).by_layer] == [
        *("", "", "", ""),
        "lends its map",
        "map of layers.1",
        "map of layers.1",
        "2 turns, one block",
        "3 turns, one block; lends its map",
        "map of layers.5",
        "",
    ]


@pytest.mark.parametrize("name", list_models())
def test_without_classes_the_head_leaves_what_the_classifier_would_be_given(name: str) -> None:
    described = shrink(name, classes=0)
    head = cost(described).by_layer[-1]
    image = described.image
    features = build(described).eval()(torch.zeros(1, image.channels, image.height, image.width))
    assert (head.tokens, head.width) == features.shape


def test_features_are_as_wide_as_the_layer_before_the_classifier() -> None:
    for switches, channels in (({}, 250), ({"pre_logits": 768}, 768)):
        assert cost(config("eit_mini", classes=0, **switches)).by_layer[-1].width == channels


def test_sizes_that_do_not_fit_are_refused_with_the_slot_in_front() -> None:
    with pytest.raises(ConfigError, match=r"^stem, PatchStem: an image of 50×50 pixels"):
        cost(config("deit_tiny", image_size=50))
    with pytest.raises(ConfigError, match=r"^layer 1, SharedAttention: no layer before it lends"):
        cost(with_layers(Block((FeedForward(4),)), SHARING))
