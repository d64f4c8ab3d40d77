"""A recipe's rate at another batch size is told; a recipe as it is, or a rate of one's own, is not."""

import logging
from pathlib import Path
from typing import Any

import pytest

from vitreous.configuration.fields import settings_types
from vitreous.configuration.layers import layered
from vitreous.configuration.unscaled_lr import warn_of_unscaled_lr
from vitreous.recipes.shipped import recipe_names
from vitreous.training.settings import TrainSettings


def said(caplog: pytest.LogCaptureFixture, config: list[str], given: dict[str, Any]) -> list[str]:
    with caplog.at_level(logging.WARNING, logger="vitreous"):
        warn_of_unscaled_lr(layered("train", settings_types(TrainSettings), config, {}), given)
    return [each.getMessage() for each in caplog.records]


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text("batch_size: 1024\nlr: 1.01e-3\n")
    return str(tmp_path / "mine.yaml")


def test_the_rate_of_a_recipe_for_1024_at_64_is_told_with_what_fits(
    recipe: str, caplog: pytest.LogCaptureFixture
) -> None:
    (sentence,) = said(caplog, [recipe], {"batch_size": 64})
    assert sentence == (
        f"lr 0.00101 comes from {recipe}, which has batches of 1024, and this run has 64: 6.3e-05 (linear) "
        "or 0.00025 (square root, usual for AdamW) fits; --lr sets it"
    )


def test_another_file_that_changes_the_batch_is_told_too(
    recipe: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "small.yaml").write_text("batch_size: 32\n")
    (sentence,) = said(caplog, [recipe, str(tmp_path / "small.yaml")], {})
    assert "batches of 1024, and this run has 32" in sentence


@pytest.mark.parametrize(
    "given", [{}, {"batch_size": 1024}, {"batch_size": 64, "lr": 1e-4}, {"batch_size": "auto"}]
)
def test_what_fits_or_was_said_on_purpose_is_not_told(
    given: dict[str, Any], recipe: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert said(caplog, [recipe], given) == []


@pytest.mark.parametrize("name", recipe_names())
def test_no_shipped_recipe_is_at_odds_with_itself(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert said(caplog, [name], {}) == []
