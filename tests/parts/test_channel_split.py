import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import Attention, ChannelSplit, DepthwiseConv, Tokens, TokenShape

SHAPE = TokenShape(10, (3, 4), prefix=1)


def tokens() -> Tokens:
    return Tokens(torch.randn(2, 13, 10), (3, 4), prefix=1)


@pytest.mark.parametrize("mixer", [Attention(5), DepthwiseConv(3)])
def test_one_slice_is_the_mixer_itself(mixer) -> None:
    split, plain, given = ChannelSplit(((10, mixer),)).build(SHAPE), mixer.build(SHAPE), tokens()
    split.mixers[0].load_state_dict(plain.state_dict())
    torch.testing.assert_close(split(given.x, given)[0], plain(given.x, given)[0])


def test_each_slice_sees_only_its_own_channels_in_order() -> None:
    module, given = ChannelSplit(((6, DepthwiseConv(3)), (4, Attention(2)))).build(SHAPE), tokens()
    mixed, _ = module(given.x, given)
    first, _ = module.mixers[0](given.x[..., :6], given)
    last, _ = module.mixers[1](given.x[..., 6:], given)
    torch.testing.assert_close(mixed, torch.cat((first, last), -1))


def test_attention_lent_in_a_slice_reaches_the_tokens() -> None:
    module = ChannelSplit(((4, Attention(2, lends=True)), (6, DepthwiseConv(3)))).build(SHAPE)
    given = tokens()
    kept = module(given.x, given)[1].shared
    assert [each.shape for each in kept] in ([(2, 2, 13, 13)], [(2, 2, 13, 2)] * 2)


def test_slices_that_do_not_make_up_the_width_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        ChannelSplit(((6, DepthwiseConv(3)), (5, Attention(1)))).build(SHAPE)
    assert str(refused.value) == (
        "ChannelSplit: slices of 6 + 5 = 11 channels do not make up the width; it is 10"
    )
