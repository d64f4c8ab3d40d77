"""`--time`: what a step costs, and how many fit."""

import itertools

import pytest
import torch

from vitreous.data.batch import Batch
from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import build
from vitreous.training.objective import Shown
from vitreous.training.recipe import Recipe
from vitreous.training.step import TrainStep
from vitreous.training.time_budget import fit_steps, measure_step, parse_time


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("90s", 90),
        ("90", 90),
        ("10m", 600),
        ("10min", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 5M ", 300),
    ],
)
def test_times_are_hours_minutes_and_seconds(given: str, seconds: float):
    assert parse_time(given) == seconds


@pytest.mark.parametrize("given", ["", "soon", "0s", "-5m", "5d", "m", "h"])
def test_what_is_no_time_is_an_error_with_examples(given: str):
    with pytest.raises(ConfigError, match="90s, 10m, 1h30m and 2h work"):
        parse_time(given)


def test_steps_and_their_validations_fill_the_time_and_do_not_exceed_it():
    costs = {"step_s": 0.1, "validation_s": 3.0}
    steps = fit_steps(600, spent_s=20, eval_steps=100, **costs)
    used = 20 + steps * 0.1 + (steps // 100 + 1) * 3.0
    assert 0.9 * 600 < used < 600


def test_a_time_too_short_for_anything_still_gives_one_step():
    assert fit_steps(1, spent_s=20, step_s=0.1, validation_s=3.0, eval_steps=10) == 1


def test_measuring_leaves_weights_and_the_rest_of_the_run_as_they_were(tiny_config):
    torch.manual_seed(0)
    model = build(tiny_config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    throwaway = TrainStep(model, Recipe(), lr=0.1, total_steps=100, seed=0, ema_decay=0.5)

    def take_step(batch: Batch, step: int) -> None:
        throwaway.backward(Shown(batch.images, batch.labels), step)
        throwaway.update()

    labels = torch.zeros(4, dtype=torch.int64)
    batches = itertools.repeat(Batch(torch.randn(4, 1, 8, 8), labels, torch.arange(4)))
    assert 0 < measure_step(model, take_step, batches, most_s=0.05) < 5
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(each.grad is None for each in model.parameters())


def test_measuring_the_delivered_model_is_taken_off():
    costs = {"spent_s": 20, "step_s": 0.1, "validation_s": 3.0, "eval_steps": 100}
    assert fit_steps(600, final_s=50, **costs) == fit_steps(550, **costs) < fit_steps(600, **costs)
