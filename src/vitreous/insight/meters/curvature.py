"""Curvature of the loss along the training path: at the checkpoints that a run kept, and at the model."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vitreous.analysis.curvature import (
    ITERATIONS,
    Eigenvalue,
    hessian_product,
    random_direction,
    top_eigenvalue,
)
from vitreous.analysis.watch import backbone
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Meter, Setting, spaced
from vitreous.training.checkpoint import damage, list_checkpoints, read_checkpoint

NAME = "curvature"
TITLE = "Curvature along the training path"
HOW = (
    "The largest eigenvalue of the loss's Hessian on fixed images: how sharp the valley is that the model "
    "stands in, in its steepest direction. A step larger than 2 over it overshoots there. Compare along one "
    "run, or equal architectures: other scales of the same function have other values. SReT's claim, that "
    "recursion is simpler to train around, would show as a lower path."
)
IMAGES, FEW = 128, 3
KEEP_MORE = "train with --saving.keep 50 and a small --saving.every-s to keep a path"


class Curvature(Meter):
    """Runs only when asked for by name: a product with the Hessian is several passes, and it takes many."""

    def finding(self, setting: Setting) -> Finding:
        """By step."""
        if setting.labels is None:
            return Finding({}, "The data's classes are not the model's, so there is no loss.")
        model = copy.deepcopy(backbone(setting.model)).requires_grad_(True)
        parameters = list(model.parameters())
        fixed = list(setting.batches(IMAGES))
        images = sum(len(labels) for _, labels in fixed)

        def losses() -> Iterator[Tensor]:
            for batch, labels in fixed:
                logits = model(batch).float()
                yield nn.functional.cross_entropy(logits, labels, reduction="sum") / images

        product = hessian_product(losses, parameters)
        begin = time.perf_counter()
        product(random_direction(parameters, 0))
        seconds = ITERATIONS * (time.perf_counter() - begin)  # of one point, at most, but for negative ones
        kept = _kept(setting.run)
        points = 1 + len(kept)
        setting.say(
            f"curvature takes up to {ITERATIONS} products with the Hessian at each of {points} points: about "
            f"{seconds * points:.0f} s"
        )
        fitting = int(setting.budget_s / seconds)
        if fitting < 1:
            told = f"one point would take about {seconds:.1f} s of {setting.budget_s:g} (--budget-s)"
            return Finding({}, f"Not measured: {told}.")
        here = top_eigenvalue(product, parameters)
        values: dict[str, Any] = {"model": here.value, "model_change": here.change, "images": images}
        values |= {"kept": len(kept), "steps": [], "eigenvalue": [], "change": []}
        chosen = spaced(list(kept), fitting - 1) if fitting > 1 else []
        found_at: dict[int, Eigenvalue] = {}
        for name in [*chosen[:1], *chosen[:0:-1]]:  # the ends first: time may run out
            if time.perf_counter() - begin > setting.budget_s:
                break
            if _load(model, kept[name]):
                found_at[int(name.removeprefix("step-"))] = top_eigenvalue(product, parameters)
            else:  # of another shape
                values["kept"] -= 1
        for step, each in sorted(found_at.items()):
            values["steps"].append(step)
            values["eigenvalue"].append(each.value)
            values["change"].append(each.change)
        return Finding(values, _told(values, setting.run), _charts(values))


def _kept(run: Path | None) -> dict[str, Path]:
    """Whole checkpoints by name, the oldest first."""
    if run is None:
        return {}
    found = reversed(list_checkpoints(run / "checkpoints"))
    return {each.name: each for each in found if damage(each) is None}


def _load(model: nn.Module, checkpoint: Path) -> bool:
    """Fill in a checkpoint's weights; False where they are those of another shape."""
    weights = read_checkpoint(checkpoint).weights["model"]
    own = model.state_dict()
    if {name: each.shape for name, each in own.items()} != {name: e.shape for name, e in weights.items()}:
        return False
    model.load_state_dict(weights)
    return True


def _told(values: dict[str, Any], run: Path | None) -> str:
    here = f"The largest eigenvalue is {values['model']:.3g} at the model"
    steps, path = values["steps"], values["eigenvalue"]
    if not steps:
        why = "no run with checkpoints stands behind it" if run is None else "its run kept no checkpoint"
        if values["kept"]:
            why = "the budget ends there (--budget-s)"
        return f"{here}; there is no path: {why}."
    ends = f"{path[0]:.3g} at step {steps[0]:,} to {path[-1]:.3g} at step {steps[-1]:,}"
    told = f"{here}; along {len(steps)} of {values['kept']} kept checkpoints it goes from {ends}."
    if len(steps) == 1:
        told = f"{here}, and {path[0]:.3g} at step {steps[0]:,}, one of {values['kept']} kept checkpoints."
    if len(steps) < values["kept"]:
        return f"{told} A larger --budget-s reaches more of them."
    return told if values["kept"] >= FEW else f"{told} That is a short path: {KEEP_MORE}."


def _charts(values: dict[str, Any]) -> tuple[Lines, ...]:
    if len(values["steps"]) < 2:
        return ()
    line = Line("checkpoints", tuple(map(float, values["steps"])), tuple(values["eigenvalue"]))
    return (
        Lines(
            title="Largest eigenvalue of the Hessian",
            x="step",
            y="eigenvalue",
            lines=(line,),
            level=("the model", values["model"]),
        ),
    )
