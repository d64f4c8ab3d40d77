import pytest
import torch
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts import (
    Attention,
    Block,
    ChannelSplit,
    FeedForward,
    Lent,
    Mix,
    RelativePosition,
    SharedAttention,
    Tokens,
    TokenShape,
)
from vitreous.parts.drop import set_drop_rates

SHAPE = TokenShape(12, (2, 3), prefix=1)
LENT = TokenShape(12, (2, 3), prefix=1, lent=Lent(3, 7))
LENDER, SHARER = Mix(Attention(3, lends=True)), Mix(SharedAttention(3))
RUN = Block((LENDER, SHARER, FeedForward(2), SHARER))


def tokens(dtype: torch.dtype = torch.float32) -> Tokens:
    return Tokens(torch.randn(2, 7, 12, dtype=dtype), (2, 3), prefix=1)


def lend(module: nn.Module, given: Tokens) -> Tokens:
    """What the module, an attention that lends, leaves for others."""
    _, lent = module(given.x, given)
    assert isinstance(lent, Tokens)
    return lent


@pytest.fixture(params=["map", "queries and keys"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of lending, one after the other, whatever the cost rule would choose."""
    chosen: str = request.param
    monkeypatch.setattr("vitreous.parts.attention_kernel.lent_as_map", lambda *_: chosen == "map")
    return chosen


def test_shared_attention_equals_attention_when_the_map_is_its_own(route: str) -> None:
    attention, shared = Attention(3, lends=True).build(SHAPE), SharedAttention(3).build(LENT)
    with torch.no_grad():
        shared.value.weight.copy_(attention.qkv.weight[24:])
        shared.value.bias.copy_(attention.qkv.bias[24:])
    shared.project.load_state_dict(attention.project.state_dict())
    given = tokens()
    own, lent = attention(given.x, given)
    torch.testing.assert_close(shared(given.x, lent)[0], own)


def test_the_map_is_the_lenders_and_the_values_are_its_own(route: str) -> None:
    attention, shared = Attention(3, lends=True).build(SHAPE), SharedAttention(3).build(LENT)
    given, later = tokens(), torch.randn(2, 7, 12)
    q, k, _ = attention.qkv(given.x).view(2, 7, 3, 3, 4).permute(2, 0, 3, 1, 4)
    weights = (q @ k.mT / 2).softmax(-1)
    values = shared.value(later).view(2, 7, 3, 4).transpose(1, 2)
    expected = shared.project((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(shared(later, lend(attention, given))[0], expected)


def test_the_lenders_weights_are_never_applied_to_the_sharers_input(route: str) -> None:
    attention, shared = Attention(3, lends=True).build(SHAPE), SharedAttention(3).build(LENT)
    given, later = tokens(), torch.randn(2, 7, 12)
    lent = lend(attention, given)
    before = shared(later, lent)[0]
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(1)
    assert torch.equal(shared(later, lent)[0], before)


@pytest.mark.parametrize("relative", [None, RelativePosition()])
def test_map_and_queries_and_keys_agree_gradients_included(relative, monkeypatch) -> None:
    block = Block(
        (
            Mix(Attention(3, lends=True, relative=relative)),
            *(Mix(SharedAttention(3)), FeedForward(2)) * 2,
        )
    )
    module, given, results = block.build(SHAPE).double(), tokens(torch.double), []
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    for as_map in (True, False):
        monkeypatch.setattr("vitreous.parts.attention_kernel.lent_as_map", lambda *_, chosen=as_map: chosen)
        module.zero_grad()
        x = given.x.clone().requires_grad_()
        out = module(Tokens(x, (2, 3), 1))
        assert len(out.shared) == (1 if as_map else 2 + (relative is not None))
        out.x.square().sum().backward()
        results.append([out.x, x.grad, *(each.grad.clone() for each in module.parameters())])
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=1e-10)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-9)


def test_the_lender_learns_from_who_shares(route: str) -> None:
    attention, shared = Attention(3, lends=True).build(SHAPE), SharedAttention(3).build(LENT)
    given = tokens()
    shared(torch.randn(2, 7, 12), lend(attention, given))[0].square().sum().backward()
    assert attention.qkv.weight.grad[:24].any()
    assert not attention.qkv.weight.grad[24:].any()  # its values are no business of others
    assert attention.project.weight.grad is None


def test_a_run_of_sharers_uses_one_map(route: str) -> None:
    module, given = RUN.build(SHAPE), tokens()
    lent = module.branches[0](given)
    last = module.branches[3](module.branches[2](module.branches[1](lent)))
    assert all(one is other for one, other in zip(last.shared, lent.shared, strict=True))
    torch.testing.assert_close(last.x, module(given).x)


def test_a_sharer_has_no_queries_and_keys_and_that_many_parameters_less() -> None:
    own, shared = Attention(3).build(SHAPE), SharedAttention(3).build(LENT)
    assert {name.split(".")[0] for name, _ in shared.named_parameters()} == {"value", "project"}
    count = [sum(each.numel() for each in module.parameters()) for module in (own, shared)]
    assert count[0] - count[1] == 2 * 12**2 + 2 * 12


def test_a_dropped_branch_still_lends_its_map(route: str) -> None:
    lender, sharer, given = LENDER.build(SHAPE), SHARER.build(LENT), tokens()
    lender.drop_path.p = 1 - 1e-9
    lent = lender(given)
    assert torch.equal(lent.x, given.x)
    sharer(lent).x.square().sum().backward()
    assert lender.mixer.qkv.weight.grad[:24].any()


def test_every_layer_draws_a_dropout_of_its_own(route: str) -> None:
    module = RUN.build(SHAPE)
    set_drop_rates(module, dropout=0.0, attention_dropout=0.5, drop_path=0.0)
    sharer, lent = module.branches[1], module.branches[0](tokens())
    assert not torch.equal(sharer(lent).x, sharer(lent).x)
    sharer.eval()
    assert torch.equal(sharer(lent).x, sharer(lent).x)
    if route == "map":
        torch.testing.assert_close(lent.shared[0].sum(-1), torch.ones(2, 3, 7))  # lent before dropout


def test_no_module_keeps_what_was_lent() -> None:
    module = RUN.build(SHAPE)
    module(tokens())
    for each in module.modules():
        assert not any(isinstance(value, Tensor) for value in vars(each).values())


def test_values_may_be_of_another_width_than_queries(route: str) -> None:
    mixer = ChannelSplit(((4, Attention(2, lends=True)), (8, SharedAttention(2))))
    module, given = mixer.build(SHAPE), tokens()
    mixed, _ = module(given.x, given)
    alone = module.mixers[1](given.x[..., 4:], lend(module.mixers[0], Tokens(given.x[..., :4], (2, 3), 1)))[0]
    torch.testing.assert_close(mixed[..., 4:], alone)


@pytest.mark.parametrize(("width", "again"), [(12, True), (24, False)])
def test_a_map_counts_once_and_again_only_where_it_is_computed_again(width: int, again: bool) -> None:
    shape = TokenShape(width, (3, 5), lent=Lent(2, 15))  # the rule: kept up to 2 · head width tokens
    counted = SharedAttention(2).macs(shape)
    assert (counted.maps, counted.attention) == (2 * 15 * width**2, 15**2 * width)
    assert counted.again == (15**2 * width if again else 0)
    given = Tokens(torch.randn(1, 15, width), (3, 5))
    assert (len(Mix(Attention(2, lends=True)).build(shape)(given).shared) == 2) == again


@pytest.mark.parametrize(
    ("heads", "lent", "message"),
    [
        (3, None, "SharedAttention: no layer before it lends its attention (a pool ends sharing"),
        (
            4,
            Lent(3, 7),
            "SharedAttention: the lent map has 3 heads over 7 tokens, and 4 heads over 7 tokens are asked "
            "for; they must be equal",
        ),
        (3, Lent(3, 6), "SharedAttention: the lent map has 3 heads over 6 tokens, and 3 heads over 7 tokens"),
        (3, Lent(3, 7, (4, 3)), "SharedAttention: the lent map has 3 heads over 7 tokens, in slices (4, 3)"),
        (5, Lent(5, 7), "SharedAttention: a width of 12 does not divide into 5 heads; 3, 4, 6 heads do"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(heads, lent, message) -> None:
    with pytest.raises(ConfigError) as refused:
        SharedAttention(heads).build(TokenShape(12, (2, 3), prefix=1, lent=lent))
    assert str(refused.value).startswith(message)


def test_tokens_without_anything_lent_are_refused_when_they_come() -> None:
    given = tokens()
    with pytest.raises(ConfigError, match="no attention was lent; an earlier layer must lend it"):
        SharedAttention(3).build(LENT)(given.x, given)
