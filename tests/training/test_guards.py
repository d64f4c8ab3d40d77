"""Settings that do not fit each other are told, with what would fit; the defaults are never accused."""

import json
from typing import Any

import pytest

from vitreous.data.images import ImageData, open_images
from vitreous.errors import ConfigError
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.training.decide import decide
from vitreous.training.guards import ema_left_behind, guard_length, guard_plan
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings

TINY = 30_000


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return open_images("digits", need=("train", "val"))


def warned(data: ImageData, *, parameters: int = TINY, image_side: int = 8, **changes: Any) -> list[str]:
    """What is said of a run on the digits: 12 steps an epoch, 10 epochs."""
    recipe = changes.pop("recipe", {})
    given = {"data": ["digits"], "model": "eit_digits", "device": "cpu", "epochs": 10, "batch_size": 100}
    settings = TrainSettings(**given | changes, recipe=Recipe(**recipe))  # type: ignore[arg-type]
    plan = decide(settings, data)
    return guard_plan(settings, plan, parameters=parameters, image_side=image_side) + guard_length(plan)


def test_the_defaults_are_not_accused(digits: ImageData) -> None:
    assert warned(digits) == []
    assert warned(digits, epochs=1) == []
    assert warned(digits, epochs="auto", batch_size="auto") == []


# schedule shorter than warm-up


def test_a_warm_up_longer_than_the_run_is_told_with_what_fits(digits: ImageData) -> None:
    (said,) = warned(digits, recipe={"warmup_epochs": 20})
    assert "the warm-up of 20 epochs is as long as the run (10 epochs, 120 steps) or longer" in said
    assert "so lr 0.002 is never held" in said and "--recipe.warmup-epochs 1 fits" in said
    (said,) = warned(digits, recipe={"warmup": 1.0})
    assert "the warm-up of 10 epochs is as long as the run" in said and "--recipe.warmup 0.1 fits" in said


def test_a_warm_up_that_only_the_cool_down_leaves_no_room_for_is_told(digits: ImageData) -> None:
    (said,) = warned(digits, recipe={"warmup_epochs": 5, "cooldown_epochs": 6})
    assert "what the cool-down leaves (4 epochs, 48 steps)" in said


def test_a_warm_up_of_most_of_the_run_is_told(digits: ImageData) -> None:
    (said,) = warned(digits, recipe={"warmup_epochs": 6})
    assert said == "the warm-up of 6 epochs takes more than half of the run (10 epochs)"


# averaged weights that never catch up


def test_an_average_over_more_than_a_third_of_the_run_is_told_with_a_decay_that_fits(
    digits: ImageData,
) -> None:
    (said,) = warned(digits, recipe={"ema_decay": 0.9999})
    assert "recipe.ema_decay 0.9999 looks back too far for 120 steps" in said
    assert "99 % of the averaged weights are the untrained ones; 0.8333 or auto fits" in said
    assert warned(digits, recipe={"ema_decay": 0.97}) == []
    assert warned(digits, epochs=1, batch_size=1200) == []  # one step: auto averages over it alone
    assert warned(digits, recipe={"ema_decay": 0.9999, "ema": False}) == []


def test_averaged_weights_far_below_the_plain_ones_are_told_at_the_end() -> None:
    said = ema_left_behind({"val/top1": 0.9, "val_ema/top1": 0.6})
    assert said is not None and "averaged weights ended at 60.0 %, the plain ones at 90.0 %" in said
    assert ema_left_behind({"val/top1": 0.9, "val_ema/top1": 0.89}) is None
    assert ema_left_behind({"val/top1": 0.9}) is None
    assert ema_left_behind({"val/map": 0.9, "val_ema/map": 0.6})


# learning rate and batch


def test_a_rate_that_overrides_the_scaling_of_the_recipe_is_told(digits: ImageData) -> None:
    (said,) = warned(digits, lr=1e-3, recipe={"lr_per_512": 5e-4})
    assert "recipe.lr_per_512 0.0005 has no effect: batch 100 would get 9.77e-05" in said
    assert warned(digits, recipe={"lr_per_512": 5e-4}) == []
    assert warned(digits, lr=5e-4 * 100 / 512, recipe={"lr_per_512": 5e-4}) == []


def test_a_rate_for_another_optimizer_or_batch_is_told(digits: ImageData) -> None:
    (said,) = warned(digits, lr=0.1)
    assert said == "lr 0.1 is 50 times what fits muon at batch 100: 0.002 (2e-3 × √(100 / 64), at most 2e-3)"
    assert warned(digits, lr=0.1, recipe={"optimizer": "sgd"}) == []


# a recipe for 224 pixels at 32


def test_crops_for_photographs_are_told_on_small_images(digits: ImageData) -> None:
    (said,) = warned(digits, recipe={"crop": "resized", "smallest_crop": 0.08})
    assert "of a 8-px image it shows as little as 2×2 pixels" in said and "--recipe.crop pad" in said
    assert warned(digits, recipe={"crop": "resized"}) == []


def test_small_images_enlarged_to_224_are_told(digits: ImageData) -> None:
    (said,) = warned(digits, model="deit_tiny", image_size=224, batch_size=100, image_side=32)
    assert "images of 32 px are enlarged to 224 px, 49 times as many pixels" in said
    assert "--image-size 32 with --model auto" in said


def test_a_high_drop_path_in_a_small_model_is_told(digits: ImageData) -> None:
    (said,) = warned(digits, recipe={"drop_path": 0.4})
    assert "recipe.drop_path 0.4 is for models of 80 M parameters" in said
    assert warned(digits, recipe={"drop_path": 0.4}, parameters=86_000_000) == []


# wrong class count


def test_a_model_for_another_number_of_classes_is_refused(digits: ImageData) -> None:
    five: VisionTransformer = config("eit_digits", image_size=8, classes=5, channels=1)
    with pytest.raises(ConfigError, match="the described model has 5 classes and the data 10"):
        warned(digits, model=json.dumps(to_json(five)))


def test_several_mistakes_are_each_told(digits: ImageData) -> None:
    assert len(warned(digits, lr=0.1, recipe={"ema_decay": 0.9999, "drop_path": 0.4})) == 3
