import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import Attention, Block, ChannelSplit, DepthwiseConv, FeedForward, Mix, Tokens, TokenShape
from vitreous.parts.drop import AttentionDropout, Dropout, DropPath, set_drop_rates

SHAPE = TokenShape(8, (3, 3), prefix=1)


def block() -> torch.nn.Module:
    split = ChannelSplit(((4, DepthwiseConv(3)), (4, Attention(2))))
    return Block((Mix(split), FeedForward(2))).build(SHAPE)


def tokens(batch: int = 2) -> Tokens:
    return Tokens(torch.randn(batch, 10, 8), (3, 3), prefix=1)


def test_rates_start_at_zero_and_each_goes_to_its_own_kind() -> None:
    module = block()
    assert {
        each.p for each in module.modules() if isinstance(each, Dropout | AttentionDropout | DropPath)
    } == {0}
    set_drop_rates(module, dropout=0.1, attention_dropout=0.2, drop_path=0.3)
    assert [each.p for each in module.modules() if isinstance(each, Dropout)] == [0.1] * 2
    assert [each.p for each in module.modules() if isinstance(each, AttentionDropout)] == [0.2] * 2
    assert [each.p for each in module.modules() if isinstance(each, DropPath)] == [0.3] * 2


def test_in_evaluation_nothing_is_dropped() -> None:
    module, given = block().eval(), tokens()
    expected = module(given).x
    set_drop_rates(module, dropout=0.5, attention_dropout=0.5, drop_path=0.5)
    assert torch.equal(module(given).x, expected)


@pytest.mark.parametrize("kind", ["dropout", "attention_dropout", "drop_path"])
def test_in_training_each_rate_changes_the_result(kind: str) -> None:
    module, given = block().train(), tokens()
    expected = module(given).x
    rates = {"dropout": 0.0, "attention_dropout": 0.0, "drop_path": 0.0} | {kind: 0.5}
    set_drop_rates(module, **rates)
    torch.manual_seed(0)
    assert not torch.equal(module(given).x, expected)


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropPath().train()
    drop.p = 0.25
    y = drop(torch.ones(4000, 2, 3))
    assert set(y.flatten().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert torch.equal(y.amin((1, 2)), y.amax((1, 2)))
    assert abs(y.mean().item() - 1) < 0.03


def test_attention_dropout_keeps_the_mean_whichever_kernel_computes_it() -> None:
    torch.manual_seed(0)
    for lends in (False, True):
        module = Attention(2, lends=lends).build(SHAPE)
        set_drop_rates(module, dropout=0.0, attention_dropout=0.2, drop_path=0.0)
        given = tokens(1)
        many = Tokens(given.x.expand(3000, -1, -1), (3, 3), 1)
        mean = module.train()(many.x, many)[0].mean(0)
        expected = module.eval()(given.x, given)[0][0]
        torch.testing.assert_close(mean, expected, atol=0.03, rtol=0)


def test_the_lent_map_is_the_one_before_dropout() -> None:
    module = Attention(1, lends=True).build(SHAPE).train()  # a head wide enough that the map itself is lent
    set_drop_rates(module, dropout=0.0, attention_dropout=0.9, drop_path=0.0)
    given = tokens()
    torch.testing.assert_close(module(given.x, given)[1].shared[0].sum(-1), torch.ones(2, 1, 10))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_a_rate_outside_its_range_is_refused(rate: float) -> None:
    with pytest.raises(
        ConfigError, match=r"drop_path is .*; it is the share that is dropped, from 0 to below 1"
    ):
        set_drop_rates(block(), dropout=0.0, attention_dropout=0.0, drop_path=rate)
