"""A schedule that fits into a given time: measure a step, count how many fit, freeze the number.

The steps that are measured are real ones (same model, same compiled graph, real batches) and leave no
trace: weights are put back, optimizer and average are thrown away, and random draws depend on the step's
number alone. The total includes validation, checkpoints and what was already spent on reading and
compiling. Ours.
"""

import logging
import math
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import nn

from vitreous.data.batch import Batch
from vitreous.errors import ConfigError
from vitreous.training.world import World

T = TypeVar("T")
SAFETY = 0.97  # steps are measured on a machine that may be busier later
FINISH_S = 2.0  # writing the model, pictures and tables at the end
logger = logging.getLogger("vitreous")


def parse_time(given: str) -> float:
    """Seconds of `90s`, `10m`, `1h30m`, `2h` or a bare number of seconds.

    Raises:
        ConfigError: anything else.
    """
    text = given.strip().lower()
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s?)?", text)
    seconds = sum(
        float(part or 0) * unit
        for part, unit in zip(match.groups() if match else (), (3600, 60, 1), strict=False)
    )
    if seconds <= 0:
        raise ConfigError(f"time {given!r} is not a time; 90s, 10m, 1h30m and 2h work")
    return seconds


def fit_steps(
    budget_s: float,
    *,
    spent_s: float,
    step_s: float,
    validation_s: float,
    eval_steps: int,
    final_s: float = 0.0,
) -> int:
    """Optimizer steps that fit, at least 1.

    Args:
        budget_s: the whole time.
        spent_s: used before the first step.
        step_s: one step.
        validation_s: one validation of all weights that are validated.
        eval_steps: steps between validations; one more always comes at the end.
        final_s: measuring what is delivered.
    """
    left = (budget_s - spent_s - validation_s - final_s - FINISH_S) * SAFETY
    return max(1, math.floor(left / (step_s + validation_s / eval_steps)))


def measure_step(
    model: nn.Module,
    take_step: Callable[[Batch, int], None],
    batches: Iterator[Batch],
    *,
    most_s: float,
    world: World | None = None,
    first: int = 0,
) -> float:
    """`planned_step` of a few steps, from the batch to the moved weights; the model is left as it was.

    Several processes measure together, as they train, until the first has measured enough.

    Args:
        model: the weights that `take_step` moves.
        take_step: (batch, step) → None.
        batches: as `from_step(0)` gives them.
        first: number of the first step that is taken.
        most_s: about how long to measure; the first two steps (compilation, first allocations) come on top.
        world: the processes that train together; None for this one alone.
    """
    world = world or World()
    device = next(model.parameters()).device
    before = {name: value.detach().clone() for name, value in model.state_dict().items()}
    times: list[float] = []
    begin = math.inf
    for step in range(40):
        if step == 2:
            begin = time.perf_counter()
        start = time.perf_counter()
        take_step(next(batches), first + step)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if step >= 2:
            times.append(time.perf_counter() - start)
        if world.from_first(len(times) >= 3 and time.perf_counter() - begin > most_s):
            break
    model.load_state_dict(before)
    model.zero_grad(set_to_none=True)
    return planned_step(times)


def planned_step(times: Sequence[float]) -> float:
    """Seconds of a step that a run is planned by: the upper quartile of two or more that were measured.

    A run takes as long as its mean step, which lies above the median, and one slow step must not count.
    """
    return statistics.quantiles(times, n=4, method="inclusive")[2]


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """What `function` returns, and its seconds."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start
