import pytest
import torch
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts import (
    Attention,
    Block,
    CarryPosition,
    ChannelSplit,
    DepthwiseConv,
    LaPE,
    LayerNorm,
    LearnedTable,
    Mix,
    NoNorm,
    PartialNorm,
    Recursive,
    Sinusoid2D,
    Tokens,
    TokenShape,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


SHAPE = TokenShape(8, (2, 2), prefix=1, position=8)


class Seen(nn.Module):
    """A mixer that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []

    def forward(self, y: Tensor, tokens: Tokens) -> tuple[Tensor, Tokens]:
        self.given.append(y)
        return y, tokens


def seen(described: LaPE) -> nn.Module:
    module = described.build(SHAPE)
    for parameter in module.norm.parameters():
        nn.init.normal_(parameter)
    module.mixer = Seen()
    return module


def carrying(width: int = 8) -> Tokens:
    return Tokens(torch.randn(3, 5, width), (2, 2), prefix=1, position=torch.randn(1, 5, width))


def test_a_norm_that_gives_nothing_leaves_the_plain_mixer() -> None:
    module, tokens = LaPE(Attention(2)).build(SHAPE), carrying()
    nn.init.zeros_(module.norm.weight)
    torch.testing.assert_close(module(tokens.x, tokens)[0], module.mixer(tokens.x, tokens)[0])


@pytest.mark.parametrize("progressive", [True, False])
def test_the_mixer_is_given_the_normalised_position_on_top_and_the_stream_is_not(progressive: bool) -> None:
    module, tokens = seen(LaPE(Attention(2), progressive=progressive)), carrying()
    y = torch.randn(3, 5, 8)
    _, after = module(y, tokens)
    torch.testing.assert_close(module.mixer.given[0], y + module.norm(tokens.position))
    assert torch.equal(after.x, tokens.x)


def test_progressive_passes_the_norm_of_the_norm_and_shared_the_table_itself() -> None:
    tokens = carrying()
    y = torch.zeros(3, 5, 8)
    for progressive in (True, False):
        first, second = (seen(LaPE(Attention(2), progressive=progressive)) for _ in range(2))
        second(y, first(y, tokens)[1])
        below = first.norm(tokens.position) if progressive else tokens.position
        torch.testing.assert_close(second.mixer.given[0], y + second.norm(below))


def test_the_two_forms_agree_in_the_first_layer() -> None:
    progressive, shared = LaPE(Attention(2)).build(SHAPE), LaPE(Attention(2), progressive=False).build(SHAPE)
    shared.load_state_dict(progressive.state_dict())
    tokens = carrying()
    assert torch.equal(progressive(tokens.x, tokens)[0], shared(tokens.x, tokens)[0])


def test_neither_form_changes_the_tokens_it_was_given() -> None:
    tokens = carrying()
    before = tokens.position.clone()
    for progressive in (True, False):
        LaPE(Attention(2), progressive=progressive).build(SHAPE)(tokens.x, tokens)
    assert torch.equal(tokens.position, before)


def test_in_a_recursion_every_turn_normalises_once_more() -> None:
    recursion = Recursive(Mix(LaPE(Attention(2)), norm=NoNorm()), 3).build(SHAPE)
    lape = recursion.block.mixer
    nn.init.normal_(lape.norm.weight)
    lape.mixer = Seen()
    tokens = Tokens(torch.zeros(1, 5, 8), (2, 2), prefix=1, position=torch.randn(1, 5, 8))
    after, expected, x = recursion(tokens), tokens.position, tokens.x
    for given in lape.mixer.given:
        expected = lape.norm(expected)
        torch.testing.assert_close(given, x + expected)
        x = x + given
    torch.testing.assert_close(after.position, expected)
    assert len(lape.mixer.given) == 3


def test_the_size_of_the_table_does_not_matter() -> None:
    module, tokens = LaPE(Attention(2)).build(SHAPE).double(), carrying()
    small, large = (
        Tokens(tokens.x.double(), (2, 2), 1, scale * tokens.position.double()) for scale in (1, 100)
    )
    torch.testing.assert_close(module(small.x, small)[0], module(large.x, large)[0], rtol=1e-4, atol=1e-5)


def test_at_the_start_every_token_has_a_position_as_large_as_its_normalised_self() -> None:
    module = LaPE(Attention(2)).build(SHAPE)
    nn.init.normal_(position := torch.empty(1, 5, 8), std=0.02)
    term = module.term(Tokens(torch.zeros(1, 5, 8), (2, 2), 1, position))
    torch.testing.assert_close(term.var(-1, unbiased=False), torch.ones(1, 5), rtol=0.02, atol=0)


def test_a_prefix_without_a_place_starts_without_and_jumps_with_the_first_bias() -> None:
    table = Sinusoid2D().build(SHAPE)
    tokens = Tokens(torch.zeros(1, 5, 8), (2, 2), 1, table.weight)
    first, second = LaPE(Attention(2)).build(SHAPE), LaPE(Attention(2)).build(SHAPE)
    assert not first.term(tokens)[0, 0].any()
    nn.init.normal_(first.norm.bias, std=0.01)
    after = first(tokens.x, tokens)[1]
    assert after.position[0, 0].std() < 0.03
    assert second.term(after)[0, 0].std() > 0.9


def test_under_autocast_the_chain_of_norms_stays_in_float32() -> None:
    module, tokens = seen(LaPE(Attention(2))), carrying()
    with torch.autocast("cpu", torch.bfloat16):
        _, after = module(tokens.x.bfloat16(), tokens)
    assert after.position.dtype == torch.float32
    assert torch.equal(after.position, module.norm(tokens.position))
    assert module.mixer.given[0].dtype == torch.bfloat16


@pytest.mark.parametrize(
    "mixer", [DepthwiseConv(3), ChannelSplit(((4, DepthwiseConv(3)), (4, Attention(2))))]
)
def test_any_mixer_takes_it(mixer) -> None:
    block = Block((CarryPosition(LearnedTable()), Mix(LaPE(mixer, PartialNorm(scale="one"))))).build(SHAPE)
    nn.init.normal_(block.branches[0].table.weight)
    x = torch.randn(2, 5, 8)
    x = block(Tokens(x, (2, 2), 1)).x
    x.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in block.parameters())


def test_it_is_refused_where_nothing_fitting_is_carried() -> None:
    for make, message in (
        (
            lambda: Mix(LaPE(Attention(2))).build(TokenShape(8, (2, 2))),
            "LaPE: no position is carried here; a CarryPosition(LearnedTable()) before it, and after each "
            "pool, carries one",
        ),
        (
            lambda: ChannelSplit(((4, DepthwiseConv(3)), (4, LaPE(Attention(2))))).build(SHAPE),
            "LaPE: the carried position has 8 channels and the tokens here have 4; put LaPE around the whole "
            "mixer, not inside a slice of its channels",
        ),
    ):
        with pytest.raises(ConfigError) as refused:
            make()
        assert str(refused.value) == message


def test_which_of_the_two_it_is_is_always_shown() -> None:
    assert repr(LaPE(Attention(2))) == "LaPE(Attention(2), progressive=True)"
    given = LaPE(Attention(2), LayerNorm(1e-5), progressive=False)
    assert repr(given) == "LaPE(Attention(2), norm=LayerNorm(eps=1e-05), progressive=False)"
    assert eval(repr(given)) == given
