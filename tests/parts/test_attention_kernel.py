import pytest
import torch

from vitreous.parts.attention_kernel import (
    KERNELS,
    attend,
    attend_and_lend,
    attention_map,
    choose,
    lent_as_map,
)


def qkv(dtype: torch.dtype, tokens: int, head_width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    q, k, v = torch.randn(3, 2, 3, tokens, head_width, dtype=dtype).unbind()
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_()


@pytest.mark.parametrize("head_width", [2, 5, 8, 20, 33])
@pytest.mark.parametrize("tokens", [1, 17, 65])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)]
)
@pytest.mark.parametrize("biased", [False, True])
def test_all_kernels_agree_gradients_included(dtype, tolerance, tokens, head_width, biased) -> None:
    q, k, v = qkv(dtype, tokens, head_width)
    bias = torch.randn(1, 3, tokens, tokens, dtype=dtype) if biased else None
    weights = torch.randn(2, 3, tokens, head_width, dtype=dtype)
    results = []
    for kernel in (
        *KERNELS.values(),
        lambda q, k, v, bias, dropout: attend(q, k, v, bias=bias, dropout=dropout),
        lambda q, k, v, bias, dropout: attend_and_lend(q, k, v, bias=bias, dropout=dropout)[0],
    ):
        mixed = kernel(q, k, v, bias, 0.0)
        results.append((mixed, *torch.autograd.grad((mixed * weights).sum(), (q, k, v))))
    for other in results[1:]:
        for got, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance * 3)


def test_the_map_is_the_softmax() -> None:
    q, k, _ = qkv(torch.float64, 7, 4)
    torch.testing.assert_close(attention_map(q, k), (q @ k.mT / 2).softmax(-1))


@pytest.mark.parametrize(("tokens", "lent"), [(8, 1), (9, 2)])
def test_few_tokens_lend_their_map_and_many_their_queries_and_keys(tokens: int, lent: int) -> None:
    q, k, v = qkv(torch.float32, tokens, 4)
    _, shared = attend_and_lend(q, k, v)
    assert len(shared) == lent
    assert lent_as_map("cpu", torch.float32, tokens, 4, True) == (lent == 1)


@pytest.mark.parametrize("gradients", [False, True])
def test_a_counter_of_operations_sees_both_products(gradients: bool) -> None:
    assert choose("meta", torch.float32, 64, 32, gradients) == "explicit"


def test_the_rule_always_names_a_kernel_and_depends_on_nothing_else() -> None:
    for device in ("cpu", "cuda", "mps", "meta"):
        for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
            for tokens in (1, 65, 197, 362, 1025):
                for head_width in (2, 5, 16, 33, 64):
                    for gradients in (False, True):
                        named = {choose(device, dtype, tokens, head_width, gradients) for _ in range(2)}
                        assert len(named) == 1 and named <= set(KERNELS)


@pytest.mark.parametrize("kernel", KERNELS)
def test_dropout_keeps_the_mean_in_every_kernel(kernel: str) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 9, 5).expand(4000, -1, -1, -1) for _ in range(3))
    mean = KERNELS[kernel](q, k, v, None, 0.2).mean(0)
    torch.testing.assert_close(mean, KERNELS[kernel](q[:1], k[:1], v[:1], None, 0.0)[0], atol=0.05, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("head_width", [5, 8, 33, 64])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)])
def test_all_kernels_agree_on_a_gpu(dtype, tolerance, head_width) -> None:
    q, k, v = (each.detach().cuda().requires_grad_() for each in qkv(dtype, 65, head_width))
    results = []
    for kernel in KERNELS.values():
        mixed = kernel(q, k, v, None, 0.0)
        results.append((mixed, *torch.autograd.grad(mixed.sum(), (q, k, v))))
    for other in results[1:]:
        for got, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance * 3)
