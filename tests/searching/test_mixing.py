"""A supernet mixes images where it shows each ten times or more, however its length was decided."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("optuna")

from vitreous.searching.train_supernet import SupernetTraining


@pytest.mark.parametrize(("passes", "mixes"), [(9, False), (10, True)])
def test_a_supernet_mixes_images_that_it_shows_ten_times_or_more(
    tiny_search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, passes: int, mixes: bool
) -> None:
    steps: list[int] = []
    mixed: list[bool] = []
    original = SupernetTraining._take

    def measured(self: SupernetTraining, most_s: float) -> float:
        steps.append(passes * self.plan.steps_per_epoch)
        return 0.5 * 360_000 / (steps[0] + 0.5)  # of 100 hours, half are for the supernet

    def take(self: SupernetTraining, trainee: Any, shown: Any, step: int) -> Any:
        mixed.append(shown.targets.ndim == 2)  # probabilities instead of class numbers
        if len(mixed) == steps[0]:
            raise KeyboardInterrupt
        return original(self, trainee, shown, step)

    monkeypatch.setattr(SupernetTraining, "step_seconds", measured)
    monkeypatch.setattr(SupernetTraining, "_take", take)
    with pytest.raises(KeyboardInterrupt):
        tiny_search(time="100h", retrain_epochs="auto", supernet={})
    assert len(mixed) == steps[0] and any(mixed) == mixes
