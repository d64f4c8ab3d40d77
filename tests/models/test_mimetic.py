"""Attention that starts as it looks after pretraining: the algebra, and where it applies."""

import pytest
import torch
from torch import Tensor

from tests.models.entries import shrink
from vitreous.models import build, config
from vitreous.models.mimetic import factors, start_mimetic
from vitreous.parts.attention import AttentionModule
from vitreous.parts.position_table import sinusoid
from vitreous.parts.shared_attention import SharedAttentionModule


def products(module: AttentionModule) -> tuple[list[Tensor], Tensor]:
    """Of each head W_Q · W_Kᵀ, and W_V · W_proj, as x is multiplied by them from the left."""
    width, each = module.project.in_features, module.project.in_features // module.heads
    q, k, v = module.qkv.weight.detach().split(width)
    maps = [
        q[head * each : (head + 1) * each].T @ k[head * each : (head + 1) * each]
        for head in range(module.heads)
    ]
    return maps, v.T @ module.project.weight.detach().T


def started(name: str, **switches: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build(config(name, **switches))  # type: ignore[arg-type]
    start_mimetic(model)
    return model


def test_at_full_rank_the_product_is_the_noise_and_the_identity() -> None:
    torch.manual_seed(3)
    left, right = factors(24, 24, 0.4, -0.4)
    torch.manual_seed(3)
    expected = 0.4 * torch.randn(24, 24) / 24**0.5 - 0.4 * torch.eye(24)
    torch.testing.assert_close(left @ right.T, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(left.square().sum(0), right.square().sum(0))  # √Σ to each side


def test_at_lower_rank_it_is_the_best_approximation() -> None:
    torch.manual_seed(3)
    left, right = factors(24, 6, 0.7, 0.7)
    torch.manual_seed(3)
    whole = 0.7 * torch.randn(24, 24) / 24**0.5 + 0.7 * torch.eye(24)
    u, s, vh = torch.linalg.svd(whole)
    torch.testing.assert_close(left @ right.T, u[:, :6] * s[:6] @ vh[:6], rtol=0, atol=1e-5)


def test_heads_of_deit_find_their_own_token_and_values_are_taken_back() -> None:
    model = started("deit_tiny", depth=2)
    found = [each for each in model.modules() if isinstance(each, AttentionModule)]
    assert len(found) == 2
    for module in found:
        maps, values = products(module)
        assert len(maps) == 3
        for product in maps:
            assert torch.linalg.matrix_rank(product) == 64
            off = product - torch.diag(product.diag())
            assert product.diag().mean() > 0.2 > 10 * off.mean().abs()
        assert values.diag().mean() == pytest.approx(-0.4, abs=0.01)
        noise = values + 0.4 * torch.eye(192)
        assert noise.std() * 192**0.5 == pytest.approx(0.4, rel=0.02)  # Z ~ N(0, 1/d)


@pytest.mark.parametrize("name", ["eit_digits", "sret_tiny", "deit_tiny_lape", "psvit_1d_tiny", "swin_tiny"])
def test_attention_is_found_wherever_it_stands_and_nothing_else_is_touched(name: str) -> None:
    torch.manual_seed(0)
    plain = dict(build(shrink(name)).named_parameters())
    torch.manual_seed(0)
    model = build(shrink(name))
    start_mimetic(model)
    maps = {AttentionModule: ("qkv", "project"), SharedAttentionModule: ("value", "project")}
    attention = {
        f"{where}.{each}.weight"
        for where, module in model.named_modules()
        for each in maps.get(type(module), ())
    }
    assert attention
    for parameter, value in model.named_parameters():
        changed = not torch.equal(value, plain[parameter])
        assert changed == (parameter in attention or parameter.startswith("position.")), parameter
    for module in model.modules():
        if isinstance(module, AttentionModule):
            assert products(module)[1].diag().mean() < -0.3


def test_position_tables_start_as_sines_and_cosines_and_stay_learned() -> None:
    table = started("deit_tiny", depth=1).position.table.weight
    assert isinstance(table, torch.nn.Parameter)
    torch.testing.assert_close(table.detach()[0, 1:], sinusoid(14, 14, 192).float())
    grid = started("sret_tiny").position.table.weight.detach()
    torch.testing.assert_close(
        grid[0].flatten(1).T, sinusoid(grid.shape[2], grid.shape[3], grid.shape[1]).float()
    )


def test_images_give_finite_logits_of_usual_size() -> None:
    model = started("vit_small_image", image_size=32, classes=10)
    logits = model(torch.randn(4, 3, 32, 32))
    assert logits.isfinite().all() and logits.abs().max() < 10
