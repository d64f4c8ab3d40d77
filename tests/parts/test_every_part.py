"""Claims that hold for every part, mixer, stem and head; a new part adds one line to a list."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vitreous.parts import (
    DESCRIPTIONS,
    AddPosition,
    Attention,
    Block,
    CarryPosition,
    ChannelSplit,
    ClassToken,
    ClassTokenHead,
    CompactStem,
    ConvGroupStem,
    ConvPoolStem,
    ConvStem,
    DepthwiseConv,
    Description,
    DistilledHead,
    DistilledTokens,
    FeedForward,
    GridPool,
    GridTable,
    Head,
    ImageShape,
    JoinPosition,
    LaPE,
    LayerNorm,
    LearnedSum,
    LearnedTable,
    LinePool,
    MeanHead,
    MergePatches,
    Mix,
    Mixer,
    NoNorm,
    NoPosition,
    NoPrefix,
    Normalize,
    Part,
    PartialNorm,
    PatchStem,
    Recursive,
    RelativePosition,
    SequencePoolHead,
    SharedAttention,
    Sinusoid1D,
    Sinusoid2D,
    Sliced,
    Stem,
    TokenMLP,
    Tokens,
    TokenShape,
    TokenToToken,
    Transposed,
    Windows,
)

SHAPE = TokenShape(16, (4, 5), prefix=1)
MIXERS = [
    Attention(4),
    Attention(4, lends=True),
    DepthwiseConv(3),
    DepthwiseConv(5),
    ChannelSplit(((10, DepthwiseConv(3)), (6, Attention(2)))),
    ChannelSplit(((8, Attention(2)), (8, DepthwiseConv(3)))),
    Attention(4, relative=RelativePosition()),
    Attention(4, relative=RelativePosition(LayerNorm())),
    TokenMLP(6),
    Sliced(Attention(4), (4, 2), prefix_in_each=True),
]
PARTS = [
    *map(Mix, MIXERS),
    FeedForward(4),
    FeedForward(0.5),
    Block((Mix(Attention(2)), FeedForward(2))),
    Block((FeedForward(2), Mix(Attention(2)))),
    ClassToken(),
    DistilledTokens(),
    NoPrefix(),
    AddPosition(LearnedTable()),
    AddPosition(GridTable((3, 3))),
    NoPosition(),
    Block((CarryPosition(Sinusoid1D()), JoinPosition())),
    Block((CarryPosition(Sinusoid2D()), JoinPosition())),
    Block((CarryPosition(LearnedTable()), Mix(LaPE(Attention(2))), Mix(LaPE(DepthwiseConv(3))))),
    Block((CarryPosition(GridTable()), Mix(LaPE(Attention(2), PartialNorm(shift=True), progressive=False)))),
    Block((Normalize(), Mix(Attention(2), NoNorm(), LearnedSum()))),
    Block((Mix(Attention(2, lends=True)), Mix(SharedAttention(2)))),
    GridPool(24),
    GridPool(32, kernel=5, depthwise=True),
    LinePool(24),
    LinePool(24, window=3, average=True),
    Transposed(FeedForward(2)),
    Transposed(Mix(Attention(3))),
    FeedForward(1, add=LearnedSum(), may_drop=False),
    Recursive(Block((Mix(Attention(2)), FeedForward(2))), 3, FeedForward(1)),
    Recursive(Mix(Sliced(Attention(2), (5, 2), prefix_in_each=True)), 2),
]
# What has no place for a prefix.
GRID = TokenShape(16, (4, 6))
ON_THE_GRID = [
    Mix(Windows(Attention(4, relative=RelativePosition()), 2)),
    Mix(Windows(Attention(4, relative=RelativePosition()), 2, shift=1)),
    Mix(Windows(Sliced(Attention(4), (4, 2)), 2, shift=1)),
    MergePatches(24),
]
PLACED = [*((part, SHAPE) for part in PARTS), *((part, GRID) for part in ON_THE_GRID)]
every_part = pytest.mark.parametrize(("part", "shape"), PLACED, ids=[repr(part) for part, _ in PLACED])
STEMS = [
    PatchStem(4, 16),
    ConvPoolStem(3, 1, 4, 16),
    ConvPoolStem(4, 2, 2, 16),
    CompactStem(3, 1, 1, 16),
    CompactStem(3, 1, 1, 16, convs=2, hidden=6),
    ConvStem((6, 16)),
    ConvGroupStem(4, (6, 16)),
    ConvGroupStem(4, (6, 16), convs=1, pool=False),
    TokenToToken(16, inner=8, features=4, splits=((3, 2), (3, 2))),
]
HEADS = [
    ClassTokenHead(7),
    ClassTokenHead(7, pre_logits=12),
    MeanHead(7),
    MeanHead(7, norm_each=False),
    SequencePoolHead(7),
    DistilledHead(7),
]


def some_tokens(shape: TokenShape, batch: int = 3) -> Tokens:
    return Tokens(torch.randn(batch, shape.tokens, shape.width), shape.grid, shape.prefix)


def randomized(module: nn.Module) -> nn.Module:
    """Every weight away from its start, so that zeros and ones hide nothing."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


class OnTensors(nn.Module):
    """A part between tensors, which is what torch.export takes and gives."""

    def __init__(self, part: nn.Module, shape: TokenShape) -> None:
        super().__init__()
        self.part = part
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tokens = self.part(Tokens(x, self.shape.grid, self.shape.prefix))
        return tokens.x


@every_part
def test_a_part_gives_the_shape_it_said_it_would(part: Part, shape: TokenShape) -> None:
    tokens = part.build(shape)(some_tokens(shape))
    after = part.out_shape(shape)
    assert tokens.x.shape == (3, after.tokens, after.width)
    assert (tokens.grid, tokens.prefix) == (after.grid, after.prefix)


@pytest.mark.parametrize("stem", STEMS, ids=repr)
@pytest.mark.parametrize("size", [(16, 16), (16, 24)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_stem_gives_the_shape_it_said_it_would(stem: Stem, size: tuple[int, int], channels: int) -> None:
    image = ImageShape(channels, *size)
    tokens = stem.build(image)(torch.randn(2, channels, *size))
    shape = stem.out_shape(image)
    assert tokens.x.shape == (2, shape.tokens, shape.width)
    assert (tokens.grid, tokens.prefix) == (shape.grid, shape.prefix)


@every_part
def test_a_part_leaves_what_it_was_given_unchanged(part: Part, shape: TokenShape) -> None:
    module, tokens = randomized(part.build(shape)), some_tokens(shape)
    before = tokens.x.clone()
    module(tokens)
    assert torch.equal(tokens.x, before)
    assert tokens.shared == ()


@every_part
def test_gradient_reaches_every_parameter_and_the_input(part: Part, shape: TokenShape) -> None:
    module, tokens = randomized(part.build(shape)), some_tokens(shape)
    tokens.x.requires_grad_()
    module(tokens).x.square().sum().backward()
    assert tokens.x.grad is not None
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("stem", STEMS, ids=repr)
def test_gradient_reaches_every_parameter_of_a_stem(stem: Stem) -> None:
    module = randomized(stem.build(ImageShape(3, 16, 16)))
    module(torch.randn(2, 3, 16, 16)).x.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@every_part
def test_images_of_a_batch_do_not_see_each_other(part: Part, shape: TokenShape) -> None:
    module, tokens = randomized(part.build(shape)).double().eval(), some_tokens(shape)
    together = module(Tokens(tokens.x.double(), shape.grid, shape.prefix)).x
    alone = module(Tokens(tokens.x[1:2].double(), shape.grid, shape.prefix)).x
    torch.testing.assert_close(together[1:2], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mixer", MIXERS, ids=repr)
def test_a_mix_whose_mixer_gives_zero_is_the_identity(mixer: Mixer) -> None:
    module = Mix(mixer).build(SHAPE)
    with torch.no_grad():
        for parameter in module.norm.parameters():
            parameter.zero_()
        for parameter in module.mixer.parameters():
            parameter.zero_()
    tokens = some_tokens(SHAPE)
    assert torch.equal(module(tokens).x, tokens.x)


@every_part
def test_export_equals_eager(part: Part, shape: TokenShape, without_shape_checks: None) -> None:
    module, tokens = OnTensors(randomized(part.build(shape)).eval(), shape), some_tokens(shape)
    exported = torch.export.export(module, (tokens.x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    for batch in (3, 5):
        x = some_tokens(shape, batch).x
        torch.testing.assert_close(exported.module()(x), module(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stem", STEMS, ids=repr)
def test_export_of_a_stem_equals_eager(stem: Stem, without_shape_checks: None) -> None:
    stem_module = stem.build(ImageShape(3, 16, 16))
    module = nn.Sequential(stem_module, ClassTokenHead(7).build(TokenShape(16, (4, 4), prefix=1))).eval()
    x = torch.randn(2, 3, 16, 16)
    exported = torch.export.export(module, (x,))
    torch.testing.assert_close(exported.module()(x), module(x))


@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_gradient_reaches_every_parameter_of_a_head(head: Head) -> None:
    shape = replace(SHAPE, prefix=2)
    module, tokens = randomized(head.build(shape)).double(), some_tokens(shape)
    logits = module(replace(tokens, x=tokens.x.double()))
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        # The bias of sequence pooling cancels in its softmax; what is left of its gradient is rounding.
        assert bool(parameter.grad.abs().max() > 1e-12) == (name != "attention.bias"), name


def kinds(value: object) -> Iterator[type[Description]]:
    """The descriptions in a value, and in what it holds."""
    for each in value if isinstance(value, tuple) else vars(value).values():
        if isinstance(each, Description | tuple):
            yield from kinds(each)
    if isinstance(value, Description):
        yield type(value)


def test_no_description_is_left_out_of_these_lists() -> None:
    listed = {kind for each in (*PARTS, *ON_THE_GRID, *STEMS, *HEADS) for kind in kinds(each)}
    assert set(DESCRIPTIONS) - listed == {ImageShape}
