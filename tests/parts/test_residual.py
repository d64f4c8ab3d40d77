"""Residual sums: the learned one is the plain one at its start, and its gradient is exact."""

import torch
from torch import nn

from vitreous.parts import LearnedSum, PlainSum
from vitreous.parts.residual import WeightedSum


def learned(identity: float, branch: float) -> nn.Module:
    module = LearnedSum().build()
    with torch.no_grad():
        module.identity.fill_(identity)
        module.branch.fill_(branch)
    return module


def test_a_learned_sum_starts_as_the_plain_sum() -> None:
    x, y = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    assert torch.equal(LearnedSum().build()(x, y), PlainSum().build()(x, y))


def test_without_its_branch_a_learned_sum_is_the_identity() -> None:
    x, y = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    assert torch.equal(learned(1.0, 0.0)(x, y), x)
    assert torch.equal(learned(0.0, 1.0)(x, y), y)


def test_a_learned_sum_weighs_both_sides_with_and_without_gradients() -> None:
    x, y = torch.randn(2, 5, 8, requires_grad=True), torch.randn(2, 5, 8)
    module = learned(0.7, -1.3)
    torch.testing.assert_close(module(x, y), 0.7 * x - 1.3 * y)
    with torch.no_grad():
        torch.testing.assert_close(module(x, y), 0.7 * x - 1.3 * y)


def test_first_and_second_derivatives_are_exact() -> None:
    x, y = (torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    numbers = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (0.7, -1.3)]
    assert torch.autograd.gradcheck(WeightedSum.apply, (x, y, *numbers))
    assert torch.autograd.gradgradcheck(WeightedSum.apply, (x, y, *numbers))


def test_gradients_equal_those_of_the_formula_for_transposed_and_broken_up_tokens_too() -> None:
    base = torch.randn(2, 9, 12)
    for x, y in [(base, base.roll(1, 0)), (base[:, ::2].mT, base[:, 4:].mT), (base.mT, base.mT.contiguous())]:
        module, weight = learned(0.7, -1.3), torch.randn_like(x)
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        inputs = (x, y, module.identity, module.branch)
        got = torch.autograd.grad((module(x, y) * weight).sum(), inputs)
        expected = torch.autograd.grad(((module.identity * x + module.branch * y) * weight).sum(), inputs)
        for one, other in zip(got, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_only_what_needs_a_gradient_gets_one() -> None:
    x, y = torch.randn(2, 3, 4), torch.randn(2, 3, 4, requires_grad=True)
    module = learned(0.7, -1.3)
    module.identity.requires_grad_(False)
    module(x, y).sum().backward()
    assert module.identity.grad is None and x.grad is None
    torch.testing.assert_close(y.grad, torch.full_like(y, -1.3))
    torch.testing.assert_close(module.branch.grad, y.detach().sum()[None])


def test_under_bf16_autocast_the_stream_stays_float32_and_each_side_has_its_own_gradient_type() -> None:
    x = torch.randn(2, 3, 4, requires_grad=True)
    y = torch.randn(2, 3, 4, dtype=torch.bfloat16, requires_grad=True)
    module = learned(0.5, 2.0)
    with torch.autocast("cpu", torch.bfloat16):
        summed = module(x, y)
    assert summed.dtype == torch.float32
    summed.sum().backward()
    assert (x.grad.dtype, y.grad.dtype, module.branch.grad.dtype) == (
        torch.float32,
        torch.bfloat16,
        torch.float32,
    )
    torch.testing.assert_close(module.branch.grad, y.detach().float().sum()[None], rtol=1e-5, atol=1e-5)


def test_a_compiled_sum_gives_the_same_gradients(without_shape_checks: None) -> None:
    torch.compiler.reset()
    x, y, module = torch.randn(2, 3, 4), torch.randn(2, 3, 4), learned(0.7, -1.3)
    gradients = []
    for run in (module, torch.compile(module, backend="eager", fullgraph=True)):
        module.zero_grad()
        run(x, y).square().sum().backward()
        gradients.append([module.identity.grad.clone(), module.branch.grad.clone()])
    torch.testing.assert_close(*gradients)
