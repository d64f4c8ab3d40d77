"""The largest eigenvalue is found where it is known, products are those of the Hessian written out."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.models.entries import shrink
from vitreous.analysis.curvature import dot, hessian_product, random_direction, top_eigenvalue
from vitreous.models import build


def symmetric(eigenvalues: list[float]) -> Tensor:
    """A matrix with these eigenvalues and no eigenvector along an axis."""
    count = len(eigenvalues)
    generator = torch.Generator().manual_seed(1)
    basis: Tensor = torch.linalg.qr(torch.randn(count, count, generator=generator, dtype=torch.float64)).Q
    return basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T


@pytest.mark.parametrize(
    ("eigenvalues", "largest"),
    [
        ([5.0, 2.0, 1.0, 0.0], 5.0),
        ([5.0, 4.9, 1.0, -3.0], 5.0),
        ([-8.0, 3.0, 1.0, 0.5], 3.0),
        ([-8.0, -2.0, -1.0, -1.0], -1.0),
    ],
    ids=["apart", "close", "the lowest is larger", "all negative"],
)
def test_the_top_of_a_quadratics_spectrum_is_found(eigenvalues: list[float], largest: float) -> None:
    matrix = symmetric(eigenvalues)
    first = torch.randn(4, dtype=torch.float64).requires_grad_()
    product = hessian_product(lambda: iter([first @ matrix @ first / 2]), [first])
    found = top_eigenvalue(product, [first], iterations=300, tolerance=1e-9)
    assert found.value == pytest.approx(largest, abs=1e-3)


def test_a_flat_loss_has_no_curvature_and_a_sum_of_losses_adds_theirs() -> None:
    weight, other = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    flat = hessian_product(lambda: iter([(2 * weight).sum() + other.square().sum() * 0]), [weight, other])
    assert top_eigenvalue(flat, [weight, other]).value == 0
    parts = hessian_product(lambda: (k * weight.square().sum() / 2 for k in (1.0, 3.0)), [weight, other])
    assert top_eigenvalue(parts, [weight, other]).value == pytest.approx(4)


@pytest.mark.parametrize("name", ["deit_tiny", "sret_tiny"])
def test_products_with_a_models_hessian_are_those_of_the_matrix(name: str) -> None:
    small = {"width": 4, "depth": 1, "heads": 1} if name == "deit_tiny" else {}
    torch.manual_seed(0)
    model = build(shrink(name, **small)).double().eval()
    image = model.config.image
    images = torch.randn(3, image.channels, image.height, image.width, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2])
    parameters = {key: each.detach() for key, each in model.named_parameters()}

    def loss(values: dict[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(functional_call(model, values, (images,)), labels)

    product = hessian_product(
        lambda: iter([nn.functional.cross_entropy(model(images), labels)]), list(model.parameters())
    )
    v = random_direction(list(parameters.values()), 3)
    assert float(dot(v, v)) == pytest.approx(1)
    step = 1e-4

    def gradient(distance: float) -> list[Tensor]:
        moved = {
            key: (each + distance * along).requires_grad_()
            for (key, each), along in zip(parameters.items(), v, strict=True)
        }
        with sdpa_kernel(SDPBackend.MATH):
            return list(torch.autograd.grad(loss(moved), list(moved.values())))

    differences = [(a - b) / (2 * step) for a, b in zip(gradient(step), gradient(-step), strict=True)]
    for exact, difference in zip(product(v), differences, strict=True):
        assert torch.allclose(exact, difference, atol=1e-6)
