"""Any idea with any other on one small host: it builds, trains, exports; or the build says why it cannot.

`host` reads as an example of how ideas are combined: every idea is a value in one of five slots.
"""

import json
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from vitreous.errors import ConfigError
from vitreous.models import VisionTransformer, build, config, from_json, to_json
from vitreous.models.init import DeiTInit
from vitreous.parts import (
    Attention,
    Block,
    CarryPosition,
    ChannelSplit,
    DepthwiseConv,
    FeedForward,
    GridPool,
    ImageShape,
    LaPE,
    LearnedTable,
    LinePool,
    MeanHead,
    Mix,
    Mixer,
    NoPosition,
    NoPrefix,
    Part,
    PatchStem,
    Recursive,
    RelativePosition,
    SharedAttention,
    Sliced,
    TokenMLP,
    Transposed,
)

IDEAS = (
    "split",
    "recursion",
    "slicing",
    "pooling_2d",
    "pooling_1d",
    "sharing",
    "token_feed_forward",
    "lape",
)
WIDTH = 16


def host(*ideas: str) -> VisionTransformer:
    """A small vision transformer with these ideas: 8×8 tokens of 16 channels, two attentions a stage."""
    layers = [stage(ideas)]
    if "pooling_2d" in ideas:  # 8×8 tokens become 4×4
        layers += [GridPool(WIDTH), *after_pool(ideas), stage(ideas)]
    if "pooling_1d" in ideas:  # and these 8 in a row: without a grid there is nothing to convolve
        layers += [LinePool(WIDTH), *after_pool(ideas), stage(ideas, convolve=False)]
    return VisionTransformer(
        image=ImageShape(3, 16, 16),
        stem=PatchStem(2, WIDTH),
        prefix=NoPrefix(),
        position=CarryPosition(LearnedTable()) if "lape" in ideas else NoPosition(),
        layers=tuple(layers),
        head=MeanHead(5),
        init=DeiTInit(),
    )


def stage(ideas: tuple[str, ...], convolve: bool = True) -> Part:
    """Two attentions, each with its feed-forward, as one block; the second may share the first's map."""
    sharing = "sharing" in ideas
    first = mixer(Attention(2, lends=sharing), ideas, convolve)
    second = mixer(SharedAttention(2) if sharing else Attention(2), ideas, convolve)
    tokens: tuple[Part, ...] = (Transposed(FeedForward(1)),) if "token_feed_forward" in ideas else ()
    block = Block((Mix(first), *tokens, FeedForward(2), Mix(second), *tokens, FeedForward(2)))
    if "recursion" in ideas:
        return Recursive(block, 2, between=FeedForward(1, may_drop=False))
    return block


def mixer(attention: Mixer, ideas: tuple[str, ...], convolve: bool) -> Mixer:
    """From the inside out: attention in slices, beside a convolution, with the position of its own layer."""
    if "slicing" in ideas:
        # A shuffle in the second turn leaves nothing to share.
        attention = Sliced(attention, (4, 1) if "sharing" in ideas else (4, 2))
    if "split" in ideas and convolve:
        half = WIDTH // 2
        attention = ChannelSplit(((half, DepthwiseConv(3)), (half, attention)))
    return LaPE(attention) if "lape" in ideas else attention


def after_pool(ideas: tuple[str, ...]) -> tuple[Part, ...]:
    """A pool ends the carried position: its tokens are others."""
    return (CarryPosition(LearnedTable()),) if "lape" in ideas else ()


SETS = [(), *combinations(IDEAS, 1), *combinations(IDEAS, 2), IDEAS]
every_set = pytest.mark.parametrize("ideas", SETS, ids=lambda ideas: "+".join(ideas) or "plain")


def images(batch: int = 4) -> Tensor:
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@every_set
def test_a_pairing_trains_a_step_and_every_parameter_takes_part(ideas: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    model, labels = build(host(*ideas)), torch.arange(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    lost = torch.nn.functional.cross_entropy(model(images()), labels)
    lost.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
    optimizer.step()
    assert torch.nn.functional.cross_entropy(model(images()), labels) < lost


@every_set
def test_a_pairing_exports_with_a_free_batch(ideas: tuple[str, ...], without_shape_checks: None) -> None:
    model = build(host(*ideas)).eval()
    exported = torch.export.export(model, (images(),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    for batch in (1, 4, 6):
        torch.testing.assert_close(exported.module()(images(batch)), model(images(batch)))


@every_set
def test_images_of_another_size_are_served_unless_weights_or_an_order_belong_to_places(
    ideas: tuple[str, ...],
) -> None:
    model = build(host(*ideas)).eval()
    placed = {"token_feed_forward", "lape"} & {*ideas} or {"recursion", "slicing"} <= {*ideas}
    for size, fits in (((32, 16), True), ((20, 14), "slicing" not in ideas)):  # 70 tokens make no 4 slices
        batch = torch.randn(2, 3, *size)
        if fits and not placed:
            assert model(batch).shape == (2, 5)
        else:
            with pytest.raises(ConfigError, match="resize the images to the size that the model was built"):
                model(batch)


@every_set
def test_a_pairing_is_a_file(ideas: tuple[str, ...]) -> None:
    assert from_json(json.loads(json.dumps(to_json(host(*ideas))))) == host(*ideas)


def test_each_idea_is_another_model() -> None:
    assert len({host(*ideas) for ideas in SETS}) == len(SETS)


def with_layers(*layers: Part, **slots: Part) -> VisionTransformer:
    return replace(host(), layers=layers, **slots)


LENDING, SHARING = Attention(2, lends=True), SharedAttention(2)
CARRIED = CarryPosition(LearnedTable())
SPLIT = ChannelSplit(((8, DepthwiseConv(3)), (8, Attention(2))))

NO_GRID = (
    "it needs rows and columns, and the tokens are a plain sequence here, as after a LinePool, in slices, or "
    "transposed; a GridPool keeps the grid"
)
NO_LENDER = (
    "SharedAttention: no layer before it lends its attention (a pool ends sharing, since the number of "
    "tokens changes); Attention(2, lends=True) in an earlier layer does"
)
NO_POSITION = (
    "LaPE: no position is carried here; a CarryPosition(LearnedTable()) before it, and after each pool, "
    "carries one"
)
IN_SLICES = (
    "Sliced: a slice has no grid and no position, and shares attention only with layers in the same slices, "
    "not shuffled: "
)
TRANSPOSED = (
    "Transposed: inside it are 16 tokens of 64 channels, without a grid, a position or lent attention: "
)

WITHOUT_MEANING = {
    "slices of 197 tokens with a class token": (
        lambda: replace(config("deit_tiny"), layers=(Mix(Sliced(Attention(3), (4, 2))),)),
        "Sliced: 1 prefix and 196 other tokens do not make equal slices, since the prefix belongs to none; "
        "NoPrefix() with MeanHead(classes), or prefix_in_each=True, works",
    ),
    "slices that leave a rest": (
        lambda: with_layers(Mix(Sliced(Attention(2), (5,)))),
        "Sliced: 64 tokens do not split into 5 equal slices; 2, 4 and 8 do",
    ),
    "sharing across a pool on the grid": (
        lambda: with_layers(Mix(LENDING), GridPool(WIDTH), Mix(SHARING)),
        NO_LENDER,
    ),
    "sharing across a pool along the line": (
        lambda: with_layers(Mix(LENDING), LinePool(WIDTH), Mix(SHARING)),
        NO_LENDER,
    ),
    "sharing in the first turn of a recursion what its end lends": (
        lambda: with_layers(Recursive(Block((Mix(SHARING), Mix(LENDING))), 2)),
        NO_LENDER,
    ),
    "sharing between other heads": (
        lambda: with_layers(Mix(LENDING), Mix(SharedAttention(4))),
        "SharedAttention: the lent map has 2 heads over 64 tokens, and 4 heads over 64 tokens are asked for; "
        "they must be equal",
    ),
    "sharing out of slices": (
        lambda: with_layers(Mix(Sliced(LENDING, (4,))), Mix(SHARING)),
        "SharedAttention: the lent map has 2 heads over 64 tokens, in slices (4,), and 2 heads over 64 "
        "tokens are asked for; they must be equal",
    ),
    "sharing into slices": (
        lambda: with_layers(Mix(LENDING), Mix(Sliced(SHARING, (4,)))),
        f"{IN_SLICES}SharedAttention: the lent map has 2 heads over 64 tokens, and 2 heads over 16 tokens "
        "are asked for; they must be equal",
    ),
    "sharing what was shuffled": (
        lambda: with_layers(Mix(Sliced(LENDING, (4, 2))), Mix(Sliced(SHARING, (4, 2)))),
        "Sliced: slices (4, 2) are shuffled, so that a later layer has other tokens in its slices and cannot "
        "share this attention; (8,) and (8, 1) are not shuffled",
    ),
    "a feed-forward over tokens after a shuffle": (
        lambda: with_layers(Mix(Sliced(TokenMLP(8), (4, 2)))),
        f"{IN_SLICES}TokenMLP: each of its weights belongs to a place, and in slices that are shuffled or "
        "change in number other tokens stand there in each turn; outside the slices TokenMLP works",
    ),
    "a convolution inside slices": (
        lambda: with_layers(Mix(Sliced(DepthwiseConv(3), (4, 2)))),
        f"{IN_SLICES}DepthwiseConv: {NO_GRID}",
    ),
    "a split with a convolution inside slices": (
        lambda: with_layers(Mix(Sliced(SPLIT, (4, 2)))),
        f"{IN_SLICES}DepthwiseConv: {NO_GRID}",
    ),
    "a split with a convolution after a pool along the line": (
        lambda: with_layers(LinePool(WIDTH), Mix(SPLIT)),
        f"DepthwiseConv: {NO_GRID}",
    ),
    "a pool on the grid after one along the line": (
        lambda: with_layers(LinePool(WIDTH), GridPool(WIDTH)),
        f"GridPool: {NO_GRID}",
    ),
    "a pool that is applied again": (
        lambda: with_layers(Recursive(GridPool(WIDTH), 2)),
        "Recursive: what is applied again must keep the shape of the tokens, and this makes grid (8, 8) into "
        "(4, 4); a pool or a wider layer stands between two Recursive",
    ),
    "LaPE without a carried position": (lambda: with_layers(Mix(LaPE(Attention(2)))), NO_POSITION),
    "LaPE after a pool without a new position": (
        lambda: with_layers(GridPool(WIDTH), Mix(LaPE(Attention(2))), position=CARRIED),
        NO_POSITION,
    ),
    "LaPE inside slices": (
        lambda: with_layers(Mix(Sliced(LaPE(Attention(2)), (4,))), position=CARRIED),
        f"{IN_SLICES}{NO_POSITION}",
    ),
    "LaPE inside a slice of the channels": (
        lambda: with_layers(
            Mix(ChannelSplit(((8, DepthwiseConv(3)), (8, LaPE(Attention(2)))))), position=CARRIED
        ),
        "LaPE: the carried position has 16 channels and the tokens here have 8; put LaPE around the whole "
        "mixer, not inside a slice of its channels",
    ),
    "LaPE over features": (
        lambda: with_layers(Transposed(Mix(LaPE(Attention(2)))), position=CARRIED),
        f"{TRANSPOSED}{NO_POSITION}",
    ),
    "sharing with attention over features": (
        lambda: with_layers(Mix(LENDING), Transposed(Mix(SHARING))),
        f"{TRANSPOSED}{NO_LENDER}",
    ),
    "a pool of features": (
        lambda: with_layers(Transposed(LinePool(WIDTH))),
        f"{TRANSPOSED}LinePool makes them 8 tokens of 16 channels; only a part that keeps both numbers can "
        "be turned back",
    ),
    "relative position inside slices": (
        lambda: with_layers(Mix(Sliced(Attention(2, relative=RelativePosition()), (4,)))),
        f"{IN_SLICES}RelativePosition: {NO_GRID}",
    ),
}


@pytest.mark.parametrize("which", WITHOUT_MEANING)
def test_what_has_no_meaning_is_refused_with_the_reason(which: str) -> None:
    make, reason = WITHOUT_MEANING[which]
    with pytest.raises(ConfigError) as refused:
        build(make())
    slot, _, told = str(refused.value).partition(", ")
    assert slot.startswith("layer ") and told == reason
