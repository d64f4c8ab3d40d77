"""The loss around a model: along one random direction, or over a plane of two.

    f(a, b) = L(θ + a δ + b η)
    δ, η ~ N(0, 1), each filter or row rescaled to the norm of the matching one of θ; 0 for vectors

Li et al., "Visualizing the Loss Landscape of Neural Nets", arXiv 1712.09913, section 4; SReT (arXiv
2111.05297) compares recursive and deep models so. A shared weight is perturbed once. The scale of the axes
is comparable between models; a plane through a random direction says little about others, so read several
seeds. Control: the untrained model.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vitreous.errors import ConfigError


@dataclass(frozen=True)
class Landscape:
    """Losses on a grid: `losses[i]` at `places[i]`, or `losses[i][j]` at (`places[i]`, `places[j]`)."""

    places: tuple[float, ...]
    losses: tuple[float, ...] | tuple[tuple[float, ...], ...]
    seed: int


def direction(model: nn.Module, seed: int) -> dict[str, Tensor]:
    """A random direction with the norms of the model's filters; vectors and buffers stay where they are."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, weight in model.named_parameters():  # each shared weight once
        if weight.ndim < 2:
            continue
        drawn = torch.randn(weight.shape, generator=generator).to(weight)
        rows = tuple(range(1, weight.ndim))
        theirs, own = (
            torch.linalg.vector_norm(each, dim=rows, keepdim=True) for each in (weight.detach(), drawn)
        )
        found[name] = drawn * (theirs / own.clamp_min(1e-12))
    return found


def forwards(steps: int, dimensions: int) -> int:
    """How often the loss is measured."""
    return int(steps**dimensions)


def most_steps(seconds: float, budget_s: float, dimensions: int) -> int:
    """The largest odd number of steps that fits the budget, `seconds` each; 0 for none."""
    steps = 0
    for more in range(3, 52, 2):
        if forwards(more, dimensions) * seconds <= budget_s:
            steps = more
    return steps


def landscape(
    model: nn.Module,
    loss: Callable[[nn.Module], float],
    *,
    span: float = 1.0,
    steps: int = 11,
    dimensions: int = 1,
    seed: int = 0,
    budget_s: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Landscape:
    """Measure it; the weights are put back, bit for bit.

    Args:
        model: changed in place while it is measured.
        loss: of the model on fixed images.
        span: from −span to span; 1 moves a filter as far as it is long.
        steps: along each axis, odd, so that the model itself is among them.
        dimensions: 1 or 2.
        seed: of the directions.
        budget_s: most seconds that it may take.
        say: is told the cost before anything but one measurement is done.

    Raises:
        ConfigError: an even number of steps, other dimensions, or a budget that is too small (says what
            fits).
    """
    if steps < 3 or steps % 2 == 0 or dimensions not in (1, 2):
        raise ConfigError(f"a landscape of {steps} steps in {dimensions}: odd steps from 3 in 1 or 2 work")
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    begin = time.perf_counter()
    with torch.no_grad():
        loss(model)
        seconds = time.perf_counter() - begin
        needed = forwards(steps, dimensions) * seconds
        times = forwards(steps, dimensions)
        say(f"the loss landscape measures the loss {times} times: about {needed:.0f} s")
        if budget_s is not None and needed > budget_s:
            fitting = most_steps(seconds, budget_s, dimensions)
            least = forwards(3, dimensions) * seconds
            work = f"{fitting} steps fit" if fitting else f"{least:.0f} s is the least"
            raise ConfigError(
                f"a loss landscape of {steps} steps would take about {needed:.0f} s of {budget_s:g}; {work}"
            )
        first, second = direction(model, 2 * seed), direction(model, 2 * seed + 1)
        places = tuple(span * (2 * each / (steps - 1) - 1) for each in range(steps))
        named = dict(model.named_parameters())

        def at(a: float, b: float) -> float:
            for name, kept in before.items():
                if name in first:
                    named[name].copy_(kept + a * first[name] + (b * second[name] if b else 0))
            return loss(model)

        try:
            if dimensions == 1:
                return Landscape(places, tuple(at(a, 0.0) for a in places), seed)
            flat = [at(a, b) for a, b in itertools.product(places, places)]
            rows = tuple(tuple(flat[row * steps : (row + 1) * steps]) for row in range(steps))
            return Landscape(places, rows, seed)
        finally:
            for name, kept in before.items():
                named[name].copy_(kept)
