"""The command line that starts a run with given settings: for cards, and for messages that name it."""

import dataclasses
import shlex
from collections.abc import Iterator
from typing import Any

from vitreous.training.settings import TrainSettings


def as_command(settings: TrainSettings) -> str:
    """`vitreous train …` with every setting that is not the default."""
    words = ["vitreous", "train", *_flags(settings, TrainSettings(), "")]
    return shlex.join(words)


def _flags(value: Any, default: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(value):
        given, usual = getattr(value, field.name), getattr(default, field.name)
        flag = f"--{prefix}{field.name.replace('_', '-')}"
        if given == usual:
            continue
        if dataclasses.is_dataclass(given):
            yield from _flags(given, usual, f"{prefix}{field.name}.")
        elif isinstance(given, bool):
            yield flag if given else f"--{prefix}no-{field.name.replace('_', '-')}"
        elif isinstance(given, list | tuple):
            yield flag
            yield from (str(each) for each in given)
        else:
            yield flag
            yield str(given)
