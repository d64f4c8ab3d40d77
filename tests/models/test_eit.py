"""EIT against the authors' code: schedule, sizes, costs, and outputs to 1e-6."""

import pytest
import torch
from torch import Tensor, nn

from tests.parity.recorded import assert_reproduced, files, recorded
from vitreous.errors import ConfigError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.eit import attention_channels, authors_names, eit
from vitreous.parts import ImageShape


@pytest.mark.parametrize(
    ("size", "width", "depth", "heads", "channels"),
    [
        ("mini", 250, 5, 10, [50, 100, 150, 200, 250]),
        ("tiny", 330, 8, 10, [40, 80, 120, 160, 200, 240, 280, 330]),
        ("base", 400, 10, 16, [32, 80, 112, 160, 192, 240, 272, 320, 352, 400]),
        ("large", 464, 12, 16, [32, 64, 112, 144, 192, 224, 256, 304, 336, 384, 416, 464]),
    ],
)
def test_the_share_of_attention_grows_as_in_the_released_modules(size, width, depth, heads, channels) -> None:
    assert [attention_channels(layer, width, depth, heads) for layer in range(depth)] == channels
    layers = config(f"eit_{size}").layers
    given = [layer.branches[0].mixer.slices[1][0] for layer in layers[:-1]]
    assert given == channels[:-1]
    assert layers[-1].branches[0].mixer.heads == heads


def test_with_more_layers_than_channels_a_head_the_first_layers_only_convolve() -> None:
    deep = eit(
        image=ImageShape(3, 8, 8), classes=2, width=4, depth=3, heads=2, kernel=3, stride=1, pool=2
    ).layers
    assert [type(layer.branches[0].mixer).__name__ for layer in deep] == [
        "DepthwiseConv",
        "ChannelSplit",
        "Attention",
    ]


def fill(model: nn.Module, described: VisionTransformer) -> None:
    """The weights of the recorded rows: a sine for each tensor, in the order of the authors' names."""
    theirs = to_theirs(dict(model.named_parameters()), authors_names(described))
    with torch.no_grad():
        for number, (name, weight) in enumerate(sorted(theirs.items())):
            flat = torch.arange(weight.numel(), dtype=torch.float64)
            values = 0.05 * torch.sin(0.37 * flat + 0.11 * number)
            if name.endswith(("norm.weight", "norm1.weight", "norm2.weight")):
                values += 1
            weight.copy_(values.view_as(weight))


def recorded_input(side: int) -> Tensor:
    return torch.sin(0.01 * torch.arange(3 * side * side, dtype=torch.float64)).reshape(1, 3, side, side)


ROWS = [
    (
        "eit_mini",
        {},
        (5.242869107, 0.267822654, -5.232460866, 1.685406587, 4.740820550),
        2.922759056,
        119.241654545,
    ),
    (
        "eit_tiny",
        {},
        (4.547418954, -4.583344462, 3.688075713, -2.214874138, 0.349832358),
        0.530753773,
        104.666280200,
    ),
    (
        "eit_base",
        {},
        (3.506422190, -2.969101484, 2.242948358, -1.136212018, -0.049540794),
        0.052422531,
        78.890019914,
    ),
    (
        "eit_large",
        {},
        (3.140081108, -2.079281759, -1.415562883, 3.232121254, -1.548277157),
        0.412197399,
        72.960336387,
    ),
    (
        "eit_small_image",
        {"classes": 10},
        (5.059252011, 0.041411131, -4.969119390, 1.819089896, 4.430406297),
        0.840712627,
        11.945802716,
    ),
    (
        "eit_small_image",
        {"classes": 10, "pre_logits": 768},
        (0.073643245, 0.245691498, 0.075373485, -0.144718319, -0.048260835),
        0.208398132,
        0.457983211,
    ),
]


@pytest.mark.parametrize(
    ("name", "switches", "first", "total", "norm"), ROWS, ids=lambda value: str(value)[:24]
)
def test_logits_equal_the_recorded_ones_of_the_authors_code(name, switches, first, total, norm) -> None:
    described = config(name, **switches)
    model = build(described).double().eval()
    fill(model, described)
    with torch.no_grad():
        logits = model(recorded_input(described.image.height))
    assert logits[0, :5].tolist() == pytest.approx(first, abs=1e-6)
    assert logits.sum().item() == pytest.approx(total, abs=1e-6)
    assert logits.norm().item() == pytest.approx(norm, abs=1e-6)


def test_tokens_between_layers_equal_the_recorded_ones_of_the_authors_mini() -> None:
    described = config("eit_mini")
    model = build(described).double().eval()
    fill(model, described)
    with torch.no_grad():
        patches = model.stem(recorded_input(224))
        assert patches.x[0, 0, :3].tolist() == pytest.approx(
            (0.385111376, 0.457986639, 0.161214427), abs=1e-6
        )
        assert patches.x.sum().item() == pytest.approx(6085.450434159, abs=1e-6)
        assert patches.x.norm().item() == pytest.approx(34.815695648, abs=1e-6)
        tokens, norms, class_token = model.position(model.prefix(patches)), [], None
        for layer in model.layers:
            tokens = layer(tokens)
            norms.append(tokens.x.norm().item())
            class_token = tokens.x[0, 0, :3].tolist() if class_token is None else class_token
    expected = (241.165555694, 348.828712821, 460.997160011, 591.391663731, 720.408682808)
    assert norms == pytest.approx(expected, abs=1e-6)
    assert class_token == pytest.approx((1.753036369, 2.123401171, 1.971395372), abs=1e-6)


def from_recorded(sizes: dict) -> VisionTransformer:
    return eit(
        image=ImageShape(3, sizes["image_size"], sizes["image_size"]),
        classes=sizes["classes"],
        width=sizes["width"],
        depth=sizes["depth"],
        heads=sizes["heads"],
        kernel=sizes["conv_kernel"],
        stride=sizes["conv_stride"],
        pool=sizes["pool"],
        eit_t=sizes["decreasing_conv"],
        position=sizes["position_embedding"],
        pre_logits=sizes["pre_logits"],
    )


@pytest.mark.parametrize("name", files("eit_*"))
def test_recorded_models_give_the_same_logits_loss_and_gradients(name: str) -> None:
    run = recorded(name)
    described = from_recorded(run.sizes)
    model = build(described)
    load_theirs(model, run.weights, authors_names(described))
    assert_reproduced(model, run, authors_names(described))


@pytest.mark.parametrize(
    ("name", "tensors"), [("eit_mini", 71), ("eit_tiny", 110), ("eit_base", 136), ("eit_large", 162)]
)
def test_names_go_to_the_authors_and_back(name: str, tensors: int) -> None:
    described = config(name)
    with torch.device("meta"):
        ours = build(described).state_dict()
    table = authors_names(described)
    theirs = to_theirs(ours, table)
    assert len(theirs) == tensors
    assert "blocks.0.eit_t.conv1.weight" in theirs and "cls_token" in theirs
    assert f"blocks.{len(described.layers) - 1}.eit_t.conv1.weight" not in theirs
    assert list(to_ours(theirs, table)) == list(ours)


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (50, 17)])
def test_without_a_position_table_it_runs_at_any_size(size: tuple[int, int]) -> None:
    model = build(config("eit_small_image", classes=10, width=20, depth=3, heads=2)).eval()
    tokens = model.forward_features(torch.randn(1, 3, *size))
    assert tokens.grid == (size[0] // 4, size[1] // 4)
    built_for_it = build(
        config("eit_small_image", classes=10, width=20, depth=3, heads=2, image_size=size)
    ).eval()
    built_for_it.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, *size)
    assert torch.equal(model(images), built_for_it(images))


def test_with_a_position_table_another_size_is_refused() -> None:
    model = build(config("eit_mini", position=True, depth=1))
    assert model.position.table.weight.shape == (1, 362, 250)
    with pytest.raises(ConfigError, match="a grid of 19×19 tokens and the images give 16×16 tokens"):
        model(torch.zeros(1, 3, 192, 192))


def test_an_image_too_small_for_a_token_is_refused_at_run_time_too() -> None:
    model = build(config("eit_small_image", depth=1))
    with pytest.raises((ConfigError, RuntimeError)):
        model(torch.zeros(1, 3, 3, 3))
