"""Where tokens have come from, for maps that say it."""

import torch

from vitreous.analysis.rollout import rollout, since_last_pool


def test_attention_to_itself_moves_nothing_and_uniform_attention_mixes_all() -> None:
    identity = torch.eye(4).expand(2, 3, 4, 4)
    assert torch.equal(rollout([identity] * 3), torch.eye(4).expand(2, 4, 4))
    uniform = torch.full((1, 2, 4, 4), 0.25)
    assert torch.allclose(rollout([uniform], identity=0.0), torch.full((1, 4, 4), 0.25))


def test_rows_sum_to_one_and_the_last_layer_stands_left() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(1, 2, 5, 5).softmax(dim=-1) for _ in range(3)]
    rolled = rollout(maps)
    assert torch.allclose(rolled.sum(dim=-1), torch.ones(1, 5))
    first, second = (0.5 * each.mean(dim=1) + 0.5 * torch.eye(5) for each in maps[:2])
    assert torch.allclose(rollout(maps[:2]), second @ first)


def test_layers_since_the_last_pool_are_counted() -> None:
    assert since_last_pool([16, 16, 4, 4]) == 2 and since_last_pool([5, 5]) == 0 and since_last_pool([9]) == 0
