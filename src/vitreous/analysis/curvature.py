"""Curvature: the largest eigenvalue of the loss's Hessian, by power iteration on products with it.

    H v = ∂/∂θ (∂L/∂θ · v)        v ← H v / ‖H v‖        λ = vᵀ H v, until it changes by less than 1 %
    where that is negative, again with H − λ I, whose dominant eigenvalue is the largest of H, less λ

Products: Pearlmutter, "Fast Exact Multiplication by the Hessian", Neural Computation 6, 1994; power iteration
on networks: Yao et al., "PyHessian", arXiv 1912.07145, section 3, which takes the largest magnitude instead
(the second step is ours). Along plain gradient descent λ rises to about 2 / rate and stays there (Cohen et
al., arXiv 2103.00065). It belongs to one parametrisation: the same function with other scales has another λ
(Dinh et al., arXiv 1703.04933), so compare along a run, or between equal architectures. A shared weight
counts once. Control: the untrained model.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Vector = list[Tensor]
"""A direction in the space of parameters: a tensor for each."""
ITERATIONS, TOLERANCE = 20, 0.01


@dataclass(frozen=True)
class Eigenvalue:
    """The largest eigenvalue, by how much it changed in the last step, and how many products it took."""

    value: float
    change: float
    products: int


def hessian_product(
    losses: Callable[[], Iterable[Tensor]], parameters: Sequence[Tensor]
) -> Callable[[Vector], Vector]:
    """The function v → H v of the sum of some losses.

    Args:
        losses: gives them anew for each product; of each, graph and maps are gone before the next comes.
        parameters: what the Hessian is of; one that no loss depends on has zeros.
    """

    def product(v: Vector) -> Vector:
        total = [torch.zeros_like(each) for each in parameters]
        # The fused attention kernels have no second derivative.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            for loss in losses():
                first = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
                second = torch.autograd.grad(dot(first, v), parameters, materialize_grads=True)
                for summed, each in zip(total, second, strict=True):
                    summed += each
        return total

    return product


def top_eigenvalue(
    product: Callable[[Vector], Vector],
    like: Sequence[Tensor],
    *,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> Eigenvalue:
    """The largest (not the largest in magnitude) eigenvalue of a symmetric product.

    Args:
        product: v → H v.
        like: tensors of the shapes, type and device of v.
        iterations: most products; twice as many where the dominant eigenvalue is negative.
        tolerance: relative change below which it stops.
        seed: of the first direction.
    """
    found = _dominant(product, like, iterations, tolerance, seed)
    if found.value >= 0:
        return found
    lowest = found.value

    def lifted(v: Vector) -> Vector:
        return [each - lowest * along for each, along in zip(product(v), v, strict=True)]

    more = _dominant(lifted, like, iterations, tolerance, seed)
    return Eigenvalue(more.value + lowest, more.change, found.products + more.products)


def random_direction(like: Sequence[Tensor], seed: int) -> Vector:
    """Of length 1, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(each.shape, generator=generator).to(each) for each in like]
    length = math.sqrt(float(dot(drawn, drawn)))
    return [each / length for each in drawn]


def dot(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """The product of two directions."""
    return torch.stack([(a * b).sum() for a, b in zip(first, second, strict=True)]).sum()


def _dominant(
    product: Callable[[Vector], Vector], like: Sequence[Tensor], iterations: int, tolerance: float, seed: int
) -> Eigenvalue:
    """The eigenvalue of largest magnitude, with its sign."""
    v, value, change = random_direction(like, seed), 0.0, math.inf
    for count in range(1, iterations + 1):
        turned = product(v)
        now = float(dot(v, turned))
        value, change = now, abs(now - value)
        length = math.sqrt(float(dot(turned, turned)))
        if length == 0.0:
            return Eigenvalue(0.0, 0.0, count)
        v = [each / length for each in turned]
        if count > 1 and change <= tolerance * abs(value):
            break
    return Eigenvalue(value, change, count)
