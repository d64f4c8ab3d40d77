"""Settings that cannot be used are refused before anything is opened, whoever gives them."""

import pytest

from vitreous.data.loading import Loading
from vitreous.errors import ConfigError
from vitreous.training.check_settings import check_settings
from vitreous.training.recipe import Recipe
from vitreous.training.settings import Saving, Stopping, TrainSettings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "float8"}, "precision is float8; one of auto, float32, .* is expected"),
        ({"epochs": "ten"}, "epochs is ten; a whole number or auto is expected"),
        ({"recipe": Recipe(balance="sample")}, "recipe.balance is sample; .*did you mean sampler?"),
        ({"loading": Loading(path="ram")}, "loading.path is ram; one of auto, resident, streaming"),
        ({"loading": Loading(workers=-1)}, "loading.workers -1: 0 or more processes work"),
        ({"saving": Saving(every_s=-1.0)}, r"saving.every_s -1.0: 0 or more seconds work"),
        ({"recipe": Recipe(betas=(0.9, 1.5))}, r"recipe.betas 0.9 1.5: 0 or more and below 1 work"),
        ({"recipe": Recipe(weight_decay=float("nan"))}, "recipe.weight_decay nan: 0 or more work"),
    ],
)
def test_a_value_that_is_no_choice_or_out_of_range_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(TrainSettings(data=["digits"], **given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pretrained_by": "selection"}, "pretrained_by is given and no pretrained, without which"),
        (
            {"recipe": Recipe(progressive_share=0.3)},
            "progressive_share is given and no recipe.progr",
        ),
        ({"saving": Saving(in_parts=True)}, "saving.in_parts is given and no sharding fsdp"),
        ({"stopping": Stopping(least=0.01)}, "stopping.least is given and no stopping.patience"),
    ],
)
def test_a_setting_that_would_have_no_effect_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(TrainSettings(data=["digits"], **given))
