"""One optimizer step: its parts are torch's, and it depends on its number and the weights alone."""

import dataclasses

import pytest
import torch

from vitreous.models.vision_transformer import VisionTransformer, build
from vitreous.training.objective import Shown
from vitreous.training.recipe import Recipe
from vitreous.training.step import TrainStep


def make(config: VisionTransformer, recipe: Recipe | None = None, **changes) -> TrainStep:
    recipe = recipe or Recipe(drop_path=0.0)
    torch.manual_seed(0)
    model = build(config, dropout=recipe.dropout, drop_path=recipe.drop_path)
    arguments = {"lr": 1e-2, "total_steps": 10, "seed": 3, "ema_decay": 0.5} | changes
    return TrainStep(model, recipe, **arguments)


def batch(step: int = 0) -> Shown:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(12, 1, 8, 8, generator=generator)
    return Shown(images, torch.randint(10, (12,), generator=generator))


def test_accumulated_micro_batches_give_the_gradient_of_the_whole_batch(tiny_config):
    whole = make(tiny_config, Recipe(clip_norm=0.0))
    parts = make(tiny_config, Recipe(clip_norm=0.0, accumulate=3))
    torch.testing.assert_close(whole.backward(batch(), 0), parts.backward(batch(), 0))
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)


def test_the_average_is_the_moving_average_of_the_weights(tiny_config):
    step = make(tiny_config, ema_decay=0.75)
    expected: dict[str, torch.Tensor] = {}
    for number in range(4):
        step.backward(batch(number), number)
        step.update()
        for name, value in step.model.state_dict().items():
            before = expected.get(name)
            expected[name] = value.clone() if before is None else 0.75 * before + 0.25 * value
    torch.testing.assert_close(step.weights()["ema"], expected)


def test_gradients_are_clipped_to_the_norm_and_the_norm_before_is_told(tiny_config):
    free, clipped = make(tiny_config, Recipe(clip_norm=0.0)), make(tiny_config, Recipe(clip_norm=0.01))
    norm = free.backward(batch(), 0)[1]
    assert norm > 0.01
    torch.testing.assert_close(clipped.backward(batch(), 0)[1], norm)
    gradients = [each.grad for each in clipped.model.parameters()]
    torch.testing.assert_close(
        torch.nn.utils.get_total_norm(gradients), torch.tensor(0.01), rtol=1e-3, atol=0
    )


def test_a_step_draws_the_same_whatever_was_drawn_before(tiny_config):
    recipe = Recipe(dropout=0.3, drop_path=0.3)
    first, second = make(tiny_config, recipe), make(tiny_config, recipe)
    torch.manual_seed(99)
    torch.rand(17)
    assert torch.equal(first.backward(batch(), 5), second.backward(batch(), 5))
    assert not torch.equal(first.backward(batch(), 6), second.backward(batch(), 5))


OPTIMIZERS = (
    "adamw",
    "muon",
    "sgd",
    "momentum",
    "lion",
    "lamb",
    "nadamw",
    "adan",
    "adafactor",
    "mars",
    "radamw",
)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_stored_and_loaded_goes_on_bit_for_bit(tiny_config, optimizer: str):
    recipe = Recipe(dropout=0.1, optimizer=optimizer, layer_decay=0.8)
    straight, before = make(tiny_config, recipe), make(tiny_config, recipe)
    for number in range(6):
        straight.backward(batch(number), number)
        straight.update()
    for number in range(3):
        before.backward(batch(number), number)
        before.update()
    after = make(dataclasses.replace(tiny_config), recipe)
    after.load(before.weights(), before.optimizer_state())
    for number in range(3, 6):
        after.backward(batch(number), number)
        after.update()
    for name in ("model", "ema"):
        for key, value in straight.weights()[name].items():
            assert torch.equal(value, after.weights()[name][key]), (name, key)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_gradients_and_loss_stay_float32_in_mixed_precision(tiny_config, precision: str):
    step = make(tiny_config, precision=precision)
    assert step.backward(batch(), 0).dtype == torch.float32
    step.update()
    assert {each.dtype for each in step.model.parameters()} == {torch.float32}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_step_on_a_gpu_lowers_the_loss(tiny_config, precision: str):
    torch.manual_seed(0)
    model = build(tiny_config).cuda()
    step = TrainStep(model, Recipe(warmup=0.0), lr=1e-2, total_steps=30, seed=0, precision=precision)
    shown = Shown(*(each.cuda() for each in batch()[:2]))
    losses = []
    for number in range(30):
        losses.append(float(step.backward(shown, number)[0]))
        step.update()
    assert losses[-1] < losses[0]
