import pytest
import torch
from torch import nn

from vitreous.parts.strided_conv import StridedConv2d


def pair(kernel, stride, groups=1):
    torch.manual_seed(0)
    ours = StridedConv2d(8, 16, kernel, stride, padding=kernel // 2, groups=groups)
    theirs = nn.Conv2d(8, 16, kernel, stride, padding=kernel // 2, groups=groups)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("size", [(1, 1), (4, 1), (1, 4), (5, 2)])
@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(3, 2, 1), (5, 2, 1), (3, 1, 1), (3, 2, 8), (1, 2, 1)]
)
def test_values_and_gradients_are_those_of_torch(size, kernel, stride, groups):
    ours, theirs = pair(kernel, stride, groups)
    x = torch.randn(3, 8, *size)
    y, wanted = ours(x), theirs(x)
    assert torch.allclose(y, wanted, atol=1e-6)
    for module, out in ((ours, y), (theirs, wanted)):
        (out**2).sum().backward()
        assert module.weight.grad.shape == module.weight.shape
    assert torch.allclose(ours.weight.grad, theirs.weight.grad, atol=1e-5)
    assert torch.allclose(ours.bias.grad, theirs.bias.grad, atol=1e-5)


def test_bfloat16_gradients_on_one_column_hold_nothing_that_stood_in_memory():
    torch.manual_seed(0)
    module = StridedConv2d(96, 192, 3, 2, padding=1)
    x = torch.randn(64, 96, 4, 1)
    (module(x) ** 2).mean().backward()
    wanted = module.weight.grad.clone()
    for _ in range(4):
        module.weight.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            loss = (module(x).float() ** 2).mean()
        left = [torch.full((module.weight.numel() * times,), 1e30) for times in (1, 2, 1, 2)]
        del left  # what the gradient's memory may hold before it is written
        loss.backward()
        assert (module.weight.grad - wanted).abs().max() < 0.02 * wanted.abs().max()
        assert (module.weight.grad[..., 0] == 0).all()
        assert (module.weight.grad[..., 2] == 0).all()
