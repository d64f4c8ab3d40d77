"""Which parameters decay, and the learning rate of every step."""

import math

import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.models.catalog import config
from vitreous.models.vision_transformer import build
from vitreous.training.optimizer import make_optimizer
from vitreous.training.optimizer_names import check_optimizer, peak_lr
from vitreous.training.recipe import Recipe
from vitreous.training.schedule import Schedule


def rates(total: int, warmup: float = 0.1, final_lr: float = 0.01, peak: float = 1.0) -> list[float]:
    schedule = schedule_of(total, warmup, final_lr, peak)
    return [schedule.set(step) for step in range(total)]


def schedule_of(total: int, warmup: float = 0.1, final_lr: float = 0.01, peak: float = 1.0) -> Schedule:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    return Schedule(optimizer, total_steps=total, warmup=warmup, final_lr=final_lr)


def test_only_matrices_and_kernels_decay():
    model = build(config("vit_small_image", image_size=32, classes=10))
    optimizer = make_optimizer(model, Recipe(weight_decay=0.3), lr=1e-3)
    decay = {id(each): group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        exempt = parameter.ndim <= 1 or name in ("prefix.token", "position.table.weight")
        assert decay[id(parameter)] == (0.0 if exempt else 0.3), name


def test_without_weight_decay_nothing_decays():
    optimizer = make_optimizer(build(config("eit_digits", image_size=8)), Recipe(weight_decay=0.0), lr=1e-3)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0}


def test_the_rate_rises_linearly_to_the_peak_and_falls_as_a_cosine():
    found = rates(100, warmup=0.1, final_lr=0.0)
    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    expected = [0.5 * (1 + math.cos(math.pi * (step + 1 - 10) / 90)) for step in range(10, 100)]
    assert found[10:] == pytest.approx(expected)


@pytest.mark.parametrize("total", [1, 2, 3, 20, 1000])
def test_a_run_of_any_length_moves_from_the_first_step_and_ends_at_the_final_rate(total: int):
    found = rates(total, warmup=0.1, final_lr=0.05)
    assert all(rate > 0 for rate in found)
    assert max(found) <= 1.0
    if total > 2:
        assert found[-1] == pytest.approx(0.05)


def test_warm_up_over_the_whole_run_still_reaches_the_peak():
    assert max(rates(10, warmup=1.0)) == pytest.approx(1.0)


def test_the_rate_is_a_function_of_the_step_alone():
    in_order, alone = rates(50), schedule_of(50)
    assert [alone.set(step) for step in (37, 3, 49, 3, 0)] == [in_order[step] for step in (37, 3, 49, 3, 0)]


def test_adamw_is_torchs_with_its_own_moments():
    optimizer = make_optimizer(build(config("eit_digits", image_size=8)), Recipe(optimizer="adamw"), lr=1e-3)
    assert type(optimizer) is torch.optim.AdamW
    assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.999)}
    assert {group["fused"] for group in optimizer.param_groups} == {True}


def test_a_linear_schedule_falls_by_equal_steps():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Schedule(optimizer, total_steps=20, warmup=0.0, final_lr=0.1, shape="linear")
    assert [schedule.set(step) for step in range(20)] == pytest.approx(
        [1.0 - 0.9 * (step + 1) / 20 for step in range(20)]
    )


def test_groups_follow_one_schedule_each_at_its_share():
    model = build(config("vit_small_image", image_size=8, depth=2))
    optimizer = make_optimizer(model, Recipe(layer_decay=0.5), lr=1e-2)
    schedule = Schedule(optimizer, total_steps=10, warmup=0.2, final_lr=0.1)
    for step in range(10):
        rate = schedule.set(step)
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(rate * group.get("lr_scale", 1.0))
    assert rate == pytest.approx(1e-3)
    assert min(group["lr_scale"] for group in optimizer.param_groups if "lr_scale" in group) == 0.125


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(optimizer="adamww"), "recipe.optimizer adamww is unknown; did you mean adamw"),
        (Recipe(optimizer="qqqqqq"), "recipe.optimizer qqqqqq is unknown; adamw, sgd and muon work"),
        (Recipe(optimizer="fusedlamb"), "recipe.optimizer fusedlamb needs NVIDIA's package apex"),
        (Recipe(optimizer="kron"), "a continued run would differ; adamw works"),
        (Recipe(optimizer="adan", betas=(0.9, 0.99)), "adan takes 3 numbers, 0.98 0.92 0.99 by default"),
        (Recipe(momentum=1.0), "recipe.momentum 1.0: 0 or more and below 1 work"),
        (Recipe(layer_decay=0.0), r"recipe.layer_decay 0.0: above 0 and up to 1 \(none\) work"),
        (Recipe(muon_lr_scale=0.0), "recipe.muon_lr_scale 0.0: a number above 0 works"),
    ],
)
def test_an_optimizer_that_cannot_be_is_refused_with_what_would_work(recipe: Recipe, message: str):
    with pytest.raises(ConfigError, match=message):
        check_optimizer(recipe)


@pytest.mark.parametrize(
    ("name", "lr"), [("adamw", 2e-3), ("muon", 2e-3), ("lion", 2e-4), ("sgd", 0.05), ("momentum", 0.05)]
)
def test_the_peak_rate_follows_the_optimizers_rule(name: str, lr: float):
    assert peak_lr(name, 128)[0] == pytest.approx(lr)


def test_an_optimizer_without_a_rule_wants_its_rate():
    with pytest.raises(ConfigError, match="there is no rule for the optimizer lamb; give --lr"):
        peak_lr("lamb", 128)


def muon_step(lr: float, muon_lr_scale: float = 1.0) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """A model and how far each of its weights went in one step of Muon with random gradients."""
    torch.manual_seed(0)
    model = build(config("vit_small_image", image_size=8, depth=1, width=32, heads=2))
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    recipe = Recipe(optimizer="muon", weight_decay=0.0, muon_lr_scale=muon_lr_scale)
    optimizer = make_optimizer(model, recipe, lr=lr)
    Schedule(optimizer, total_steps=1, warmup=0.0, final_lr=1.0).set(0)
    for each in model.parameters():
        each.grad = torch.randn_like(each)
    optimizer.step()
    return model, {name: before[name] - each.detach() for name, each in model.named_parameters()}


def test_muon_moves_hidden_weights_by_a_nearly_orthogonal_matrix_as_large_as_adamws_step():
    _, moved = muon_step(1e-2)
    for name in ("mixer.project.weight", "mixer.qkv.weight"):
        step = moved[f"layers.0.branches.0.{name}"]
        singular = torch.linalg.svdvals(step / (1e-2 * 0.2 * max(step.shape) ** 0.5))
        assert float(singular.min()) > 0.6 and float(singular.max()) < 1.4, name
        assert 0.1 < float(step.square().mean().sqrt() / 1e-2) < 0.3, name  # AdamW's: 0.2 to 0.4


def test_muon_moves_all_else_as_adamw_does():
    model, moved = muon_step(1e-2)
    for name, each in model.named_parameters():
        if not (name.startswith("layers.") and each.ndim == 2):
            copy = torch.nn.Parameter(torch.zeros_like(each))
            copy.grad = each.grad
            torch.optim.AdamW([copy], lr=1e-2, betas=(0.9, 0.95), weight_decay=0.0).step()
            torch.testing.assert_close(moved[name], -copy.detach(), rtol=1e-3, atol=1e-6)


def test_the_two_halves_of_muon_have_rates_of_their_own():
    _, equal = muon_step(1e-2)
    _, own = muon_step(1e-2, muon_lr_scale=3.0)
    for name in ("layers.0.branches.0.mixer.qkv.weight", "head.classifier.weight"):
        factor = 3.0 if name.startswith("layers.") else 1.0
        torch.testing.assert_close(own[name], factor * equal[name], rtol=1e-3, atol=1e-6)
