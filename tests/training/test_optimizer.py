"""Which parameters decay, and the learning rate of every step."""

import math

import pytest
import torch

from vitreous.models.catalog import config
from vitreous.models.vision_transformer import build
from vitreous.training.optimizer import Schedule, make_optimizer
from vitreous.training.recipe import Recipe


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
