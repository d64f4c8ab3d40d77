"""Entropy agrees with torch's slower one."""

import pytest
import torch

from vitreous.analysis.entropy import entropy


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_that_of_torch(dtype: torch.dtype) -> None:
    shares = torch.randn(4, 3, 7, dtype=dtype).mul(20).softmax(dim=-1)
    shares[0, 0] = torch.tensor([0, 0, 1, 0, 0, 0, 0])
    kept = shares.clone()
    torch.testing.assert_close(entropy(shares), torch.special.entr(shares).sum(dim=-1))
    assert torch.equal(shares, kept)


def test_is_0_for_one_outcome_and_the_logarithm_for_equal_ones() -> None:
    assert entropy(torch.tensor([0.0, 1.0, 0.0])).item() == 0.0
    torch.testing.assert_close(entropy(torch.full((5,), 0.2)), torch.tensor(5.0).log())


def test_what_is_not_a_number_stays_so() -> None:
    assert entropy(torch.tensor([0.5, float("nan")])).isnan()
