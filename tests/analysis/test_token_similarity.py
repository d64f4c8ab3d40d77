"""How alike tokens are, where the answer is known."""

import pytest
import torch

from vitreous.analysis.token_similarity import effective_rank, mean_cosine, neighbour_cosine


def test_the_sum_over_tokens_is_the_mean_over_pairs() -> None:
    tokens = torch.randn(2, 7, 5, dtype=torch.float64)
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    pairs = unit @ unit.transpose(1, 2)
    slow = (pairs.sum(dim=(1, 2)) - 7) / 42
    assert torch.allclose(mean_cosine(tokens), slow)


def test_equal_tokens_are_alike_and_random_ones_are_not() -> None:
    torch.manual_seed(0)
    assert mean_cosine(torch.ones(1, 4, 3)).item() == pytest.approx(1)
    noise = torch.randn(2, 100, 64)
    assert mean_cosine(noise).abs().max() < 0.01
    offset = noise + 10
    assert mean_cosine(offset).min() > 0.9 and mean_cosine(offset, torch.full((64,), 10.0)).abs().max() < 0.01


def test_the_rank_is_that_of_the_directions() -> None:
    torch.manual_seed(0)
    line = torch.randn(1, 20, 1) * torch.randn(1, 1, 8)
    assert effective_rank(line).item() == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.eye(6)[None]).item() == pytest.approx(6)
    tall, wide = torch.randn(1, 30, 5), torch.randn(1, 5, 30)
    assert 4 < effective_rank(tall).item() <= 5 and 4 < effective_rank(wide).item() <= 5


def test_neighbours_are_beside_and_below() -> None:
    stripes = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(1, 2)  # rows of one kind
    tokens = torch.stack((stripes[0], stripes[0], stripes[1], stripes[1]))[None]
    assert neighbour_cosine(tokens, (2, 2)).item() == pytest.approx(0.5)  # beside: 1, below: 0
