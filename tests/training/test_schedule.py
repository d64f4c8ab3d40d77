"""The learning rate of every step as published recipes count it."""

import math

import pytest
import torch

from vitreous.training.recipe import Recipe
from vitreous.training.schedule import make_schedule

DEIT = Recipe(schedule="cosine", warmup_epochs=5, warmup_lr=1e-6, min_lr=1e-5, lr_moves="late_epoch")


def rates(recipe: Recipe, epochs: int, steps_per_epoch: int = 2, peak: float = 1e-3) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    total = epochs * steps_per_epoch
    schedule = make_schedule(optimizer, recipe, total_steps=total, steps_per_epoch=steps_per_epoch)
    return [schedule.set(step) for step in range(total)]


def deit(t: int, peak: float = 1e-3, epochs: int = 300) -> float:
    if t < 5:
        return 1e-6 + (peak - 1e-6) * t / 5
    return 1e-5 + (peak - 1e-5) / 2 * (1 + math.cos(math.pi * t / epochs))


def test_deits_loop_runs_two_epochs_at_the_rate_that_the_warm_up_starts_from():
    found = rates(DEIT, 300)
    expected = [deit(max(epoch - 1, 0)) for epoch in range(300) for _ in range(2)]
    assert found == pytest.approx(expected, rel=1e-12)
    assert found[:4] == [1e-6] * 4


def test_timms_loop_is_the_same_one_epoch_earlier():
    late = rates(DEIT, 300, steps_per_epoch=1)
    assert rates(Recipe(**vars(DEIT) | {"lr_moves": "epoch"}), 300, steps_per_epoch=1)[:-1] == late[1:]


def test_cool_down_keeps_the_last_rate():
    recipe = Recipe(
        schedule="cosine", warmup_epochs=10, warmup_lr=1e-5, min_lr=1e-5, cooldown_epochs=10, lr_moves="epoch"
    )
    found = rates(recipe, 310, steps_per_epoch=1)
    assert found[300:] == [1e-5] * 10
    assert found[299] > 1e-5 and found[299] == pytest.approx(deit(299), rel=1e-9)
    by_step = rates(Recipe(warmup_epochs=1, min_lr=1e-5, cooldown_epochs=2), 10)
    assert by_step[-5:] == [1e-5] * 5 and by_step[-6] > 1e-5


def test_a_warm_up_in_epochs_is_that_of_the_same_share():
    assert rates(Recipe(warmup_epochs=3), 30) == rates(Recipe(warmup=0.1), 30)
    assert rates(Recipe(warmup_epochs=3, warmup_lr=1e-4), 30)[5] == pytest.approx(1e-3)
    assert rates(Recipe(warmup_epochs=3, warmup_lr=1e-4), 30)[0] == pytest.approx(1e-4 + 9e-4 / 6)


def test_a_last_rate_is_that_of_the_same_share():
    assert rates(Recipe(min_lr=1e-5), 30) == rates(Recipe(final_lr=0.01), 30)
