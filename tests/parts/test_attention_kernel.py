import pytest
import torch
import torch.nn.functional as F

from vitreous.parts.attention_kernel import attend, explicit, fused_is_faster


def qkv(dtype: torch.dtype, tokens: int, head_width: int) -> list[torch.Tensor]:
    return [torch.randn(2, 3, tokens, head_width, dtype=dtype, requires_grad=True) for _ in range(3)]


@pytest.mark.parametrize("head_width", [2, 5, 8, 20, 33])
@pytest.mark.parametrize("tokens", [1, 17, 65])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)]
)
def test_all_kernels_agree_gradients_included(dtype, tolerance, tokens, head_width) -> None:
    inputs = qkv(dtype, tokens, head_width)
    weights = torch.randn(2, 3, tokens, head_width, dtype=dtype)
    results = []
    for kernel in (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        lambda q, k, v: explicit(q, k, v, 0.0, False)[0],
        lambda q, k, v: attend(q, k, v)[0],
        lambda q, k, v: attend(q, k, v, keep_map=True)[0],
    ):
        mixed = kernel(*inputs)
        results.append((mixed, *torch.autograd.grad((mixed * weights).sum(), inputs)))
    for other in results[1:]:
        for got, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance * 3)


def test_the_map_is_the_softmax_and_only_there_on_request() -> None:
    q, k, v = qkv(torch.float64, 7, 4)
    _, kept = attend(q, k, v, keep_map=True)
    torch.testing.assert_close(kept, (q @ k.mT / 2).softmax(-1))
    assert attend(q, k, v)[1] is None


@pytest.mark.parametrize("gradients", [False, True])
def test_a_counter_of_operations_sees_both_products(gradients: bool) -> None:
    assert not fused_is_faster("meta", torch.float32, 64, 32, gradients)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("head_width", [5, 8, 33, 64])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)])
def test_all_kernels_agree_on_a_gpu(dtype, tolerance, head_width) -> None:
    inputs = [each.detach().cuda().requires_grad_() for each in qkv(dtype, 65, head_width)]
    fused = F.scaled_dot_product_attention(*inputs)
    spelled_out, _ = explicit(*inputs, dropout=0.0, keep_map=False)
    torch.testing.assert_close(fused, spelled_out, rtol=tolerance, atol=tolerance)
    for got, expected in zip(
        torch.autograd.grad(fused.sum(), inputs), torch.autograd.grad(spelled_out.sum(), inputs), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance * 3)
