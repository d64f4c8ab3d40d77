import pytest
import torch
from torch import nn

from tests.models.families import SMALL, STEM
from vitreous.models import build, config
from vitreous.models.lsra import lsra
from vitreous.parts import DepthwiseConv


@pytest.mark.parametrize(
    ("name", "attending", "convolving"),
    [
        ("mini", 120, 130),
        ("tiny", 160, 170),
        ("base", 192, 208),
        ("large", 224, 240),
        ("small_image", 120, 130),
    ],
)
def test_it_is_eit_with_one_split_in_every_layer(name: str, attending: int, convolving: int) -> None:
    eit, control = config(f"eit_{name}"), config(f"lsra_{name}")
    for slot in ("image", "stem", "prefix", "position", "head", "init"):
        assert getattr(control, slot) == getattr(eit, slot)
    assert len(control.layers) == len(eit.layers)
    assert len(set(control.layers)) == 1
    block, eit_block = control.layers[0], eit.layers[0]
    assert block.branches[1] == eit_block.branches[1]
    slices, eit_slices = block.branches[0].mixer.slices, eit_block.branches[0].mixer.slices
    assert [each for each, _ in slices] == [convolving, attending]
    assert [mixer for _, mixer in slices] == [mixer for _, mixer in eit_slices]


def test_the_order_of_slices_and_the_convolution_are_arguments() -> None:
    slices = (
        lsra(**SMALL, **STEM, attention_first=True, convolution=DepthwiseConv(5))
        .layers[0]
        .branches[0]
        .mixer.slices
    )
    assert repr(slices) == "((8, Attention(2)), (8, DepthwiseConv(5)))"


def test_swapping_the_slices_is_a_reordering_of_channels_only() -> None:
    first, last = build(lsra(**SMALL, **STEM, attention_first=True)), build(lsra(**SMALL, **STEM))
    swapped = [*range(8, 16), *range(8)]
    state = {
        name: reordered(weight, name, swapped)
        for name, weight in last.state_dict().items()
        if ".mixers." not in name
    }
    for name, weight in last.state_dict().items():
        if ".mixers." in name:
            other = (
                name.replace("mixers.0", "mixers.x")
                .replace("mixers.1", "mixers.0")
                .replace("mixers.x", "mixers.1")
            )
            state[other] = weight
    first.load_state_dict(state)
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(first(images), last(images), rtol=1e-5, atol=1e-6)


def reordered(weight: nn.Parameter, name: str, order: list[int]) -> torch.Tensor:
    """The weight of the same model after its channels were put in another order."""
    if name.endswith(("widen.weight", "classifier.weight")):
        return weight[:, order]
    if name.endswith(("widen.bias", "classifier.bias")):
        return weight
    if name.endswith("token"):
        return weight[..., order]
    return weight[order]
