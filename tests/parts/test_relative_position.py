import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.models import VisionTransformer, config
from vitreous.parts import (
    Attention,
    Block,
    FeedForward,
    LayerNorm,
    Mix,
    NoPosition,
    RelativePosition,
    Tokens,
    TokenShape,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


SHAPE = TokenShape(12, (2, 3), prefix=1)
TOKENS = Tokens(torch.zeros(1, 7, 12), (2, 3), prefix=1)


def test_a_table_of_zeros_is_plain_attention() -> None:
    relative, plain = (
        Attention(3, relative=RelativePosition()).build(SHAPE),
        Attention(3).build(SHAPE),
    )
    plain.load_state_dict(relative.state_dict(), strict=False)
    y = torch.randn(2, 7, 12)
    torch.testing.assert_close(relative(y, TOKENS)[0], plain(y, TOKENS)[0])


def test_every_pair_finds_the_number_of_its_offset_and_the_prefix_has_none() -> None:
    rows, columns = 2, 3
    module = RelativePosition().build(SHAPE, 4)
    assert module.table.shape == ((2 * rows - 1) * (2 * columns - 1), 4)
    torch.nn.init.normal_(module.table)
    bias = module(TOKENS)
    assert bias.shape == (1, 4, 7, 7)
    assert not bias[:, :, 0].any() and not bias[:, :, :, 0].any()
    for query in range(6):
        for key in range(6):
            down, right = query // columns - key // columns, query % columns - key % columns
            row = (down + rows - 1) * (2 * columns - 1) + right + columns - 1
            assert torch.equal(bias[0, :, 1 + query, 1 + key], module.table[row])


def test_a_bias_for_one_offset_alone_makes_every_token_look_there() -> None:
    module = Attention(1, relative=RelativePosition()).build(TokenShape(12, (2, 3)))
    with torch.no_grad():
        module.relative.table[1 * 5 + 2 + 1] = 1e4  # same row, one column to the left
        module.project.weight.copy_(torch.eye(12))
        module.project.bias.zero_()
    y = torch.randn(1, 6, 12)
    value = (y @ module.qkv.weight[24:].T + module.qkv.bias[24:])[0]
    mixed = module(y, Tokens(y, (2, 3)))[0][0]
    for token in (1, 2, 4, 5):
        torch.testing.assert_close(mixed[token], value[token - 1])


def test_attention_adds_it_to_scaled_scores_of_patches_alone() -> None:
    module = Attention(3, relative=RelativePosition()).build(SHAPE).double()
    torch.nn.init.normal_(module.relative.table)
    y = torch.randn(2, 7, 12, dtype=torch.double)
    q, k, v = F.linear(y, module.qkv.weight, module.qkv.bias).unflatten(2, (3, 3, 4)).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(2, 3) / math.sqrt(4)
    scores[:, :, 1:, 1:] += module.relative.table[module.relative.index].permute(2, 0, 1)
    expected = module.project((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(module(y, TOKENS)[0], expected)


def test_its_norm_runs_over_the_keys_of_each_query_and_head_and_leaves_the_prefix_out() -> None:
    module = RelativePosition(LayerNorm(1e-5)).build(SHAPE, 4)
    torch.nn.init.normal_(module.table)
    bias = module(TOKENS)
    rows = bias[0, :, 1:, 1:]
    torch.testing.assert_close(rows.mean(-1), torch.zeros(4, 6))
    torch.testing.assert_close(rows.var(-1, unbiased=False), torch.ones(4, 6), rtol=1e-4, atol=1e-4)
    gathered = module.table[module.index].permute(2, 0, 1)
    assert torch.equal(rows, F.layer_norm(gathered, (6,), torch.ones(6), torch.zeros(6), 1e-5))
    assert not bias[:, :, 0].any() and not bias[:, :, :, 0].any()


def with_relative(norm: LayerNorm | None) -> VisionTransformer:
    relative = RelativePosition(norm)
    block = Block((Mix(Attention(3, relative=relative)), FeedForward(4)))
    return replace(config("deit_tiny"), position=NoPosition(), layers=(block,) * 12)


def test_parameters_are_those_of_the_released_code() -> None:
    assert cost(with_relative(None)).parameters == 5_705_836
    assert cost(with_relative(LayerNorm(1e-5))).parameters == 5_710_540


def test_tokens_without_the_grid_that_it_was_built_for_are_refused() -> None:
    with pytest.raises(ConfigError, match="RelativePosition: it needs rows and columns"):
        Attention(3, relative=RelativePosition()).build(TokenShape(12, None, sequence=6))
    module = Attention(3, relative=RelativePosition()).build(SHAPE)
    with pytest.raises(ConfigError) as refused:
        module(TOKENS.x, replace(TOKENS, grid=(3, 2)))
    assert str(refused.value) == (
        "RelativePosition: the position table is for a grid of 2×3 tokens and the images give 3×2 tokens; "
        "resize the images to the size that the model was built for, or build it for this size"
    )


def test_its_table_is_not_decayed() -> None:
    assert RelativePosition().build(SHAPE, 2).WITHOUT_DECAY == ("table",)
