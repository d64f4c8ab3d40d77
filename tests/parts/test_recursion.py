"""Recursion: the same weights again, a private layer after each turn, and the turn told to whoever asks."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.parts.test_every_part import randomized
from vitreous.errors import ConfigError
from vitreous.parts import (
    Attention,
    Block,
    CarryPosition,
    ClassToken,
    FeedForward,
    GridPool,
    LaPE,
    LearnedSum,
    LearnedTable,
    LinePool,
    Mix,
    Part,
    Recursive,
    SharedAttention,
    Sliced,
    TokenMLP,
    Tokens,
    TokenShape,
    Transposed,
)

SHAPE = TokenShape(16, (4, 4))
BLOCK = Block((Mix(Attention(2)), FeedForward(2)))
BETWEEN = FeedForward(1, add=LearnedSum(), may_drop=False)
SLICED = Block((Mix(Sliced(Attention(2), (4, 2)), add=LearnedSum()), FeedForward(2, add=LearnedSum())))


def tokens(batch: int = 3, **others: object) -> Tokens:
    return Tokens(torch.randn(batch, 16, 16), (4, 4), **others)


class Turns(nn.Module):
    """Writes down the turns that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, given: Tokens) -> Tokens:
        self.seen.append(given.turn)
        return given


def test_one_turn_of_recursion_is_the_plain_block() -> None:
    plain, recursive, x = BLOCK.build(SHAPE), Recursive(BLOCK, 1).build(SHAPE), tokens()
    recursive.block.load_state_dict(plain.state_dict())
    assert torch.equal(recursive(x).x, plain(x).x)
    assert Recursive(BLOCK, 1).macs(SHAPE) == BLOCK.macs(SHAPE)
    assert len(list(recursive.parameters())) == len(list(plain.parameters()))


def test_turns_are_the_block_again_and_a_layer_of_its_own_after_each_the_last_too() -> None:
    module, given = randomized(Recursive(BLOCK, 3, BETWEEN).build(SHAPE)), tokens()
    expected = given
    for between in module.between:
        expected = between(module.block(expected))
    assert torch.equal(module(given).x, expected.x)
    assert len(module.between) == 3
    assert len({id(each) for between in module.between for each in between.parameters()}) == 3 * 8


def test_parameters_of_the_block_are_there_once_however_often_it_is_applied() -> None:
    def count(part: Part) -> int:
        return sum(each.numel() for each in part.build(SHAPE).parameters())

    assert count(Recursive(BLOCK, 9)) == count(BLOCK)
    assert count(Recursive(BLOCK, 9, BETWEEN)) == count(BLOCK) + 9 * count(BETWEEN)
    assert Recursive(BLOCK, 9, BETWEEN).macs(SHAPE) == (BLOCK.macs(SHAPE) + BETWEEN.macs(SHAPE)) * 9


def test_the_gradient_of_a_shared_weight_is_the_sum_over_untied_copies() -> None:
    tied = randomized(Recursive(SLICED, 3, BETWEEN).build(SHAPE)).double().eval()
    untied = [copy.deepcopy(tied.block) for _ in range(3)]
    x = torch.randn(2, 16, 16, dtype=torch.float64)
    tied(Tokens(x, (4, 4))).x.square().sum().backward()
    given = Tokens(x, (4, 4))
    for turn, (block, between) in enumerate(zip(untied, copy.deepcopy(tied.between), strict=True)):
        given = between(block(replace(given, turn=turn)))
    given.x.square().sum().backward()
    for name, parameter in tied.block.named_parameters():
        first, second, third = (block.get_parameter(name).grad for block in untied)
        torch.testing.assert_close(parameter.grad, first + second + third, rtol=1e-9, atol=1e-9)


def test_with_all_coefficients_at_their_start_a_turn_is_the_plain_residual_form() -> None:
    learned = Recursive(SLICED, 2, BETWEEN).build(SHAPE).eval()
    plain_block = Block((Mix(Sliced(Attention(2), (4, 2))), FeedForward(2)))
    plain = Recursive(plain_block, 2, FeedForward(1, may_drop=False)).build(SHAPE).eval()
    plain.load_state_dict({name: each for name, each in learned.state_dict().items() if ".add." not in name})
    x = tokens()
    torch.testing.assert_close(learned(x).x, plain(x).x, rtol=1e-6, atol=1e-6)


def test_the_turn_is_counted_inside_and_is_what_it_was_outside() -> None:
    module = Recursive(Recursive(BLOCK, 2), 3).build(SHAPE)
    inner, outer = Turns(), Turns()
    module.block.add_module("block", inner)
    module.between.add_module("1", outer)
    assert module(tokens(turn=7)).turn == 7
    assert inner.seen == [0, 1] * 3
    assert outer.seen == [1]
    assert Recursive(BLOCK, 3).out_shape(replace(SHAPE, turn=7)) == replace(SHAPE, turn=7)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (GridPool(16), "grid (4, 4) into (2, 2)"),
        (GridPool(32, stride=1), "width 16 into 32"),
        (LinePool(16), "grid (4, 4) into None"),
        (ClassToken(), "prefix 0 into 1"),
    ],
)
@pytest.mark.parametrize("place", ["block", "between"])
def test_what_changes_the_shape_of_the_tokens_is_refused(part: Part, message: str, place: str) -> None:
    described = Recursive(part, 2) if place == "block" else Recursive(BLOCK, 2, part)
    for ask in (described.build, described.out_shape, described.macs):
        with pytest.raises(ConfigError) as refused:
            ask(SHAPE)
        assert str(refused.value) == (
            f"Recursive: what is applied again must keep the shape of the tokens, and this makes {message}; "
            "a pool or a wider layer stands between two Recursive"
        )


def test_a_block_that_fits_the_first_turn_alone_is_refused() -> None:
    lender, sharer = Mix(Sliced(Attention(2, lends=True), (4, 1))), Mix(Sliced(SharedAttention(2), (4, 2)))
    Recursive(Block((lender, sharer)), 1).build(SHAPE)
    with pytest.raises(ConfigError, match="the lent map has 2 heads over 16 tokens, and 2 heads over 8"):
        Recursive(Block((lender, sharer)), 2).build(SHAPE)


@pytest.mark.parametrize(
    "block",
    [
        Block((Mix(TokenMLP(8)), FeedForward(2))),
        Block((Transposed(FeedForward(2)), FeedForward(2))),
        Block((Mix(Attention(2, lends=True)), FeedForward(2), Mix(SharedAttention(2)), FeedForward(2))),
        Block((CarryPosition(LearnedTable()), Mix(LaPE(Attention(2))), FeedForward(2))),
    ],
    ids=["token MLP", "feed-forward over tokens", "sharing", "layer-adaptive position"],
)
def test_blocks_of_other_ideas_recur_and_every_parameter_takes_part(block: Part) -> None:
    module, given = randomized(Recursive(block, 2).build(SHAPE)), tokens()
    once = randomized(block.build(SHAPE))
    once.load_state_dict(module.block.state_dict())
    torch.testing.assert_close(module(given).x, once(once(given)).x)
    module(given).x.square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in module.parameters())


def test_what_the_last_turn_lends_is_lent_to_later_layers() -> None:
    recursive = Recursive(Block((Mix(Attention(2, lends=True)), FeedForward(2))), 2)
    after = recursive.out_shape(SHAPE)
    assert (after.lent.heads, after.lent.tokens) == (2, 16)
    assert Mix(SharedAttention(2)).build(after)(recursive.build(SHAPE)(tokens())).x.shape == (3, 16, 16)


def test_checkpoints_at_every_turn_change_no_gradient_and_no_random_order() -> None:
    module = randomized(Recursive(SLICED, 3, BETWEEN).build(SHAPE))
    x = torch.randn(2, 16, 16)
    gradients = []
    for enable in (False, True):
        module.checkpointing = enable  # type: ignore[assignment]
        module.zero_grad()
        torch.manual_seed(3)  # the orders of the shuffled turns, drawn again in the backward pass
        module(Tokens(x, (4, 4))).x.square().sum().backward()
        gradients.append([each.grad.clone() for each in module.parameters()])
    for with_checkpoints, without in zip(*gradients, strict=True):
        torch.testing.assert_close(with_checkpoints, without, rtol=1e-6, atol=1e-6)


def test_with_checkpoints_only_what_enters_each_turn_is_kept() -> None:
    module, kept = Recursive(BLOCK, 3).build(SHAPE), []
    module.checkpointing = True  # type: ignore[assignment]

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(Tokens(torch.randn(3, 16, 16, requires_grad=True), (4, 4)))
    assert [shape for shape in kept if shape == (3, 16, 16)] == kept
    assert len(kept) <= 3


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # inside torch itself
def test_one_compiled_block_serves_all_turns(without_shape_checks: None) -> None:
    from torch._dynamo.testing import CompileCounter

    torch.compiler.reset()
    module, given, counter = randomized(Recursive(BLOCK, 30).build(SHAPE)), tokens(), CompileCounter()
    expected = module(given).x
    module.block.compile(backend=counter, fullgraph=True)
    torch.testing.assert_close(module(given).x, expected)
    assert counter.frame_count <= 2
