"""The settings that a call with the arguments of `vitreous.train` means, config and environment included."""

import inspect
from typing import Any

from vitreous.configuration.arguments import filled_from_config
from vitreous.training.arguments import settings_from
from vitreous.training.settings import TrainSettings
from vitreous.training.train import train


def _settings(**arguments: Any) -> TrainSettings:
    return settings_from(arguments)


_settings.__signature__ = inspect.signature(train)  # type: ignore[attr-defined]

settings_of_call = filled_from_config("train", TrainSettings)(_settings)
"""(arguments of `vitreous.train`) → `TrainSettings`."""
