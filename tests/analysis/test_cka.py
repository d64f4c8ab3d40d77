"""CKA sees neither rotation nor scale, and finds nothing in what is unrelated."""

import pytest
import torch

from vitreous.analysis.cka import cka, cka_matrix
from vitreous.errors import DataError


def test_a_rotation_and_a_scale_change_nothing() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 6, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    assert cka(x, 3 * x @ rotation + 5) == pytest.approx(1)


def test_unrelated_features_are_not_alike_even_when_there_are_more_of_them_than_images() -> None:
    torch.manual_seed(0)
    values = [cka(torch.randn(20, 300), torch.randn(20, 300)) for _ in range(20)]
    assert abs(sum(values) / 20) < 0.05  # the biased estimator gives 0.9 here


def test_the_estimator_is_the_published_one() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(9, 3, dtype=torch.float64), torch.randn(9, 4, dtype=torch.float64)

    def hsic(k: torch.Tensor, m: torch.Tensor) -> float:  # Song et al. 2012, equation 5
        n = len(k)
        k, m = k - k.diag().diag(), m - m.diag().diag()
        ones = torch.ones(n, dtype=torch.float64)
        first = (k @ m).trace() + ones @ k @ ones * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return float((first - 2 / (n - 2) * ones @ k @ m @ ones) / (n * (n - 3)))

    k, m = x @ x.T, y @ y.T
    assert cka(x, y) == pytest.approx(hsic(k, m) / (hsic(k, k) * hsic(m, m)) ** 0.5)


def test_a_matrix_compares_every_pair() -> None:
    torch.manual_seed(0)
    layers = [torch.randn(12, 3) for _ in range(3)]
    matrix = cka_matrix(layers, layers)
    assert torch.allclose(matrix.diagonal(), torch.ones(3, dtype=torch.float64))
    assert float(matrix[0, 2]) == pytest.approx(cka(layers[0], layers[2]))


def test_too_few_images_are_counted() -> None:
    with pytest.raises(DataError, match="at least 4 images and was given 3"):
        cka(torch.randn(3, 2), torch.randn(3, 2))
