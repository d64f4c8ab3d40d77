"""Recursion with slices, and LaPE, on three designs from outside the five papers, as the papers claim.

Swin's windows, a PiT with a class token that crosses pools, and the tokenizer and sequence pooling of CCT.
None of them knows about the others: each combination is another value.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vitreous.analysis.cost import cost
from vitreous.models import VisionTransformer, build, config, from_json, to_json
from vitreous.models.compact import cct
from vitreous.models.lape import lape
from vitreous.models.pit import pit
from vitreous.models.swin import NORM, swin
from vitreous.parts import (
    Attention,
    Block,
    FeedForward,
    ImageShape,
    LaPE,
    Mix,
    Mixer,
    Part,
    Recursive,
    Sliced,
    Windows,
)
from vitreous.parts.position_table import GridTableModule, LearnedTableModule

HOSTS: dict[str, VisionTransformer] = {
    # 8×8 tokens in four windows of 4×4, every other layer shifted; then 4×4 in one.
    "swin": swin(
        image=ImageShape(3, 16, 16), classes=5, width=8, depths=(2, 2), heads=(2, 2), window=4, patch=2
    ),
    # 8×8 tokens of overlapping patches and a class token; then 4×4, the class token mapped.
    "pit": pit(
        image=ImageShape(3, 18, 18), classes=5, width=8, depths=(2, 2), heads=2, patch=4, stride=2, ratio=2
    ),
    # 8×8 tokens from a convolution, a ReLU and a max pool, read by a learned weighting of all of them.
    "cct": cct(image=ImageShape(3, 16, 16), classes=5, width=16, depth=3, heads=2, ratio=2, kernel=3),
}
# A bias that shifts every token's score alike drops out of the softmax of sequence pooling.
UNREACHED = {"head.attention.bias"}


def recursive_and_sliced(
    host: VisionTransformer, times: int = 2, slices: tuple[int, ...] = (4, 2), between: Part | None = None
) -> VisionTransformer:
    """Every layer applied `times` times, attention in slices; pools stay where they are."""

    def sliced(mixer: Mixer) -> Mixer:
        match mixer:
            case Windows(mixer=inside):
                return replace(mixer, mixer=sliced(inside))
            case Attention():  # a slice has no grid for relative position
                return Sliced(replace(mixer, relative=None), slices, prefix_in_each=True)
        raise AssertionError(mixer)

    def again(layer: Part) -> Part:
        if not isinstance(layer, Block):
            return layer
        branches = [
            replace(each, mixer=sliced(each.mixer)) if isinstance(each, Mix) else each
            for each in layer.branches
        ]
        return Recursive(Block(tuple(branches)), times, between=between)

    return replace(host, layers=tuple(map(again, host.layers)))


PROJECTION = FeedForward(1, may_drop=False)
IDEAS = {
    "recursion_and_slices": lambda host: recursive_and_sliced(host, between=PROJECTION),
    "lape": lape,
    "all_three": lambda host: lape(recursive_and_sliced(host, between=PROJECTION)),
}
COMBINED = {f"{name}-{idea}": change(host) for name, host in HOSTS.items() for idea, change in IDEAS.items()}
every_combination = pytest.mark.parametrize("described", COMBINED.values(), ids=COMBINED)
every_host = pytest.mark.parametrize("name", HOSTS)


def images(described: VisionTransformer, batch: int = 5) -> Tensor:
    return torch.randn(batch, described.image.channels, described.image.height, described.image.width)


@every_combination
def test_a_combination_trains_a_step_in_which_every_parameter_takes_part(
    described: VisionTransformer,
) -> None:
    torch.manual_seed(0)
    model, labels = build(described), torch.arange(5)
    batch, start = images(described), torch.get_rng_state()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(2):
        torch.set_rng_state(start)  # the same shuffles of the slices
        losses.append(nn.functional.cross_entropy(model(batch), labels))
        optimizer.zero_grad()
        losses[-1].backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and (parameter.grad.any() or name in UNREACHED), name
        optimizer.step()
    assert losses[1] < losses[0]


@every_combination
def test_a_combination_exports_with_a_free_batch(
    described: VisionTransformer, without_shape_checks: None
) -> None:
    model = build(described).eval()
    exported = torch.export.export(
        model, (images(described),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    for batch in (images(described, 2), images(described, 7)):
        torch.testing.assert_close(exported.module()(batch), model(batch), rtol=1e-5, atol=1e-6)


@every_combination
def test_a_combination_is_a_value_that_survives_json_and_knows_its_cost(described: VisionTransformer) -> None:
    assert from_json(to_json(described)) == described
    assert cost(described).parameters == sum(each.numel() for each in build(described).parameters())


@every_host
def test_one_turn_in_one_slice_is_the_host(name: str) -> None:
    host = HOSTS[name]
    if name == "swin":  # a slice has no grid for relative position: compare without it
        blocks = [
            Block((Mix(replace(mix.mixer, mixer=Attention(mix.mixer.mixer.heads)), norm=NORM), *others))
            for mix, *others in (layer.branches for layer in host.layers if isinstance(layer, Block))
        ]
        host = replace(host, layers=(*blocks[:2], host.layers[2], *blocks[2:]))
    same = recursive_and_sliced(host, times=1, slices=(1,))
    ours, theirs, batch = build(same).double().eval(), build(host).double().eval(), images(host).double()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data.copy_(other.data)
    torch.testing.assert_close(ours(batch), theirs(batch), rtol=0, atol=1e-12)


@every_host
def test_two_turns_in_four_and_two_slices_cost_three_quarters_of_one_turns_products(name: str) -> None:
    host, changed = cost(HOSTS[name]), cost(recursive_and_sliced(HOSTS[name]))
    products = host.macs - host.macs_without_attention_products
    sliced = changed.macs - changed.macs_without_attention_products
    if name == "pit":  # the class token joins every slice: (length + 1)² in each
        expected = sum(
            2 * width * turns
            for tokens, width in ((64, 8), (16, 16))
            for turns in [2 * (4 * (tokens // 4 + 1) ** 2 + 2 * (tokens // 2 + 1) ** 2)]
        )
        assert sliced == expected
    else:
        assert 4 * sliced == 3 * products
    assert changed.parameters <= host.parameters  # less, where relative tables went


@every_host
def test_lape_adds_a_norm_a_layer_and_a_table_a_stage(name: str) -> None:
    host, changed = build(HOSTS[name]), build(lape(HOSTS[name]))
    widths = [
        each.mixer.norm.weight.numel()
        for layer in changed.layers
        for each in getattr(layer, "branches", ())
        if hasattr(each, "mixer")
    ]
    assert len(widths) == sum(isinstance(layer, Block) for layer in HOSTS[name].layers)

    def tables(model: nn.Module) -> int:
        kinds = LearnedTableModule | GridTableModule
        return sum(each.weight.numel() for each in model.modules() if isinstance(each, kinds))

    def parameters(model: nn.Module) -> int:
        return sum(each.numel() for each in model.parameters())

    assert parameters(changed) - parameters(host) == 2 * sum(widths) + tables(changed) - tables(host)
    stages = {"swin": 64 * 8 + 16 * 16, "pit": 64 * 8 + 16 * 16, "cct": 64 * 16}
    assert tables(changed) == stages[name]


def test_equal_patches_are_equal_tokens_to_swin_until_lape_tells_them_apart() -> None:
    torch.manual_seed(0)
    image = torch.ones(1, 3, 16, 16, dtype=torch.double)
    spread = []
    for described in (HOSTS["swin"], lape(HOSTS["swin"])):
        features = build(described).double().eval().forward_features(image, as_map=True)
        spread.append(features.flatten(2).std(dim=2).max().item())
    assert spread[0] < 1e-12 and spread[1] > 1e-6


def test_swin_tiny_takes_seven_slices_in_each_window_for_two_turns() -> None:
    described = recursive_and_sliced(config("swin_tiny", classes=10), slices=(7, 7), between=PROJECTION)
    described = lape(described)
    assert described.layers[0].block.branches[0] == Mix(
        LaPE(Windows(Sliced(Attention(3), (7, 7), prefix_in_each=True), 7), norm=NORM), norm=NORM
    )
    assert described.shapes()[-1].grid == (7, 7)
    host, changed = cost(config("swin_tiny", classes=10)), cost(described)
    attention = [each.macs - each.macs_without_attention_products for each in (host, changed)]
    assert attention[1] * 7 == attention[0] * 2
