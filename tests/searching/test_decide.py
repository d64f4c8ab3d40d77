"""What a search decides before it trains, and how it tells that."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("optuna")

from vitreous.searching.arguments import settings_from
from vitreous.searching.clock import Clock
from vitreous.searching.decide import begin
from vitreous.searching.decisions import decisions
from vitreous.searching.folder import SearchFolder
from vitreous.searching.task import Task
from vitreous.training.world import World


@pytest.fixture
def begun(tiny: dict[str, Any]) -> Callable[..., Task]:
    """A tiny search with some arguments changed, before anything is trained."""

    def start(**changed: Any) -> Task:
        given = {**tiny, **changed}
        data, space = given.pop("data"), given.pop("space")
        settings = settings_from(data, space, given.pop("budget", ""), given.pop("out"), given)
        folder = SearchFolder(settings)
        try:
            return begin(settings, folder, Clock(folder, settings.time), World())
        finally:
            folder.close()

    return start


def test_passes_that_are_given_decide_for_mixing_too(begun: Callable[..., Task]) -> None:
    assert begun(supernet={"epochs": 9}).plan.recipe.mix_probability == 0.0


def test_every_decision_is_told_with_its_reason(begun: Callable[..., Task]) -> None:
    task = begun(space="auto", budget="macs=1G,params=2M")
    lines = {line.split()[0]: line for line in decisions(task, 123456)}
    assert "hybrid_small_image, 8,640 architectures" in lines["space"]
    assert "32×32, 1 channel  (the images are 8×8 (median); enlarged" in lines["image_size"]
    assert "macs=1G,params=2M  (models have " in lines["budget"]
    assert lines["budget"].endswith("macs leaves out none)")
    assert "123,456 weights, 2 passes" in lines["epochs"]
    assert "0 for the supernet" in lines["recipe.mix_probability"]
    assert "others train the supernet" in lines["choice"]


def test_what_was_chosen_is_recalled_and_not_chosen_again(
    begun: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begun(space="auto")
    monkeypatch.setattr("vitreous.searching.choose_space.SMALL", "psvit_2d_small_image")
    again = begun(space="auto")
    assert again.space == first.space and again.space_name == "hybrid_small_image"
    assert again.plan == first.plan
