"""A loss or gradient that is not finite: which module made it, and the batch kept so that it can be replayed.

A step is a function of its number, the weights and the batch, so it can be taken again: uncompiled, watched
module by module (`watch.py`), once in the run's precision and once in float32. Where the weights have moved
on (a GPU is read one step late), they are fetched from the newest checkpoint and the steps since then are
taken again.

    RUN/debug/step-000123/
        batch.safetensors     images as the model saw them, targets, rows of the training split
        weights.safetensors   before the step; what the objective learns, as `objective.…`
        divergence.json       step, losses, seeds, plan, and what was found

`vitreous runs replay RUN` looks at it again.
"""

import dataclasses
import json
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vitreous.data.augment import Augmentation
from vitreous.data.batch import Batch
from vitreous.data.batches import Batches
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.streams import stream_seed
from vitreous.errors import ConfigError
from vitreous.training.checkpoint import load_newest
from vitreous.training.objective import Shown
from vitreous.training.plan import Plan
from vitreous.training.step import TrainStep
from vitreous.training.validation import validate
from vitreous.training.watch import Seen, Watch

BESIDE = "objective."
logger = logging.getLogger("vitreous")


@dataclasses.dataclass(frozen=True)
class Look:
    """A step taken once more, watched.

    Args:
        precision: in which.
        loss: of the batch.
        norm: of its gradient, before clipping.
        first: the first place that is not finite, as a clause; empty where all is.
        outputs: what left each module, in order.
    """

    precision: str
    loss: float
    norm: float
    first: str
    outputs: tuple[Seen, ...]

    @property
    def finite(self) -> bool:
        """Whether loss and gradients are."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)

    def to_json(self) -> dict[str, Any]:
        """Plain values; numbers that JSON does not know (`nan`, `inf`) as texts."""
        told = {**dataclasses.asdict(self), "finite": self.finite}
        return told | {
            name: value if math.isfinite(value) else str(value)
            for name, value in (("loss", self.loss), ("norm", self.norm))
        }


def look_again(trainee: TrainStep, shown: Shown, step: int, precision: str) -> Look:
    """Take a step again without moving the weights.

    Args:
        trainee: with the weights of before the step; its gradients are overwritten.
        shown: the batch.
        step: its number.
        precision: to compute in.
    """
    with trainee.as_if(precision), Watch(trainee.model) as watch:
        loss, norm = trainee.backward(shown, step).tolist()
    first = ""
    if not bool(torch.isfinite(shown.images).all()):
        first = "first in the images themselves"
    elif bad := _bad_weight(trainee.model):
        first = f"first in the weights: {bad}"
    elif watch.there:
        first = f"first in {watch.there}, going forward"
    elif not math.isfinite(loss):
        first = "first in the loss itself"
    elif watch.back:
        first = f"first in {watch.back}, going backward"
    elif bad := _bad_gradient(trainee.model):
        first = f"first in {bad}, its gradient"
    return Look(precision, loss, norm, first, tuple(watch.outputs))


def look_at_validation(
    model: nn.Module, batches: Iterable[Batch], preprocessing: Preprocessing, precision: str
) -> tuple[Look, Batch] | None:
    """The first batch whose validation loss is not finite, watched; None where all are finite.

    Args:
        model: plain or averaged weights.
        batches: of the split.
        preprocessing: of the run.
        precision: to compute in.
    """
    for batch in batches:
        with torch.compiler.set_stance("force_eager"), Watch(model) as watch:
            loss = validate(model, [batch], preprocessing, precision=precision)["loss"]
        if not math.isfinite(loss):
            bad = _bad_weight(model)
            first = f"first in the weights: {bad}" if bad else f"first in {watch.there or 'the loss itself'}"
            return Look(precision, loss, math.nan, f"{first}, in validation", tuple(watch.outputs)), batch
    return None


def investigate(
    trainee: TrainStep,
    plan: Plan,
    folder: Path,
    step: int,
    shown: Shown | None,
    *,
    train: Batches,
    augment: Augmentation,
    facts: dict[str, Any],
) -> str:
    """Find where a step stopped being finite, keep it, and say so as a clause that begins with a comma.

    Args:
        trainee: its gradients are overwritten, and its weights where they have moved on.
        plan: of the run.
        folder: of the run.
        step: that failed.
        shown: its batch; None where the weights have moved on since.
        train: batches.
        augment: of the run.
        facts: for `divergence.json`.
    """
    try:
        if shown is None:
            shown = _rewound(trainee, folder, step, train, augment)
        learned = trainee.weights()
        named = learned["model"] | {
            BESIDE + name: each for name, each in learned.get("objective", {}).items()
        }
        weights = {name: value.detach().clone() for name, value in named.items()}
        looks = [
            look_again(trainee, shown, step, each) for each in dict.fromkeys((plan.precision, "float32"))
        ]
        batch = {name: value for name, value in shown._asdict().items() if isinstance(value, Tensor)}
        place = keep(folder, plan, step, batch=batch, weights=weights, facts=facts, looks=looks)
        return explain(looks) + (f", batch and weights kept in {place}" if place else "")
    except Exception as error:  # whatever goes wrong here, the divergence itself is what has to be told
        logger.debug("looking again failed", exc_info=True)
        logger.warning("the cause could not be looked for: %s", error)
        return ""


def investigate_validation(
    model: nn.Module, plan: Plan, folder: Path, step: int, batches: Batches, facts: dict[str, Any]
) -> str:
    """The same for a validation loss.

    Args:
        model: plain or averaged weights.
        plan: of the run.
        folder: of the run.
        step: after which was validated.
        batches: of the validation images.
        facts: for `divergence.json`.
    """
    found = look_at_validation(model, batches.all(), plan.preprocessing, plan.precision)
    if found is None:
        return ""
    look, batch = found
    weights = dict(model.state_dict())
    place = keep(folder, plan, step, batch=batch._asdict(), weights=weights, facts=facts, looks=[look])
    return explain([look]) + (f", batch and weights kept in {place}" if place else "")


def _rewound(trainee: TrainStep, folder: Path, step: int, train: Batches, augment: Augmentation) -> Shown:
    """The batch of a step, with the weights put back to before it."""
    checkpoint = load_newest(folder / "checkpoints")
    if checkpoint is None or checkpoint.state["step"] > step:
        raise ConfigError("there is no checkpoint of before")
    trainee.load(dict(checkpoint.weights), checkpoint.optimizer)
    begin: int = checkpoint.state["step"]
    for number, batch in zip(range(begin, step + 1), train.from_step(begin), strict=False):
        shown = trainee.objective.show(batch, augment, number)
        if number < step:
            trainee.backward(shown, number)
            trainee.update()
    return shown


def explain(looks: list[Look]) -> str:
    """What several looks at one step say, as a clause that begins with a comma; empty where they say nothing.

    Args:
        looks: in the run's precision first.
    """
    own, *others = looks
    if not own.first:
        return ", which is finite when the batch is computed again without compilation"
    better = [each for each in others if each.finite]
    if better:
        return f", {own.first}; the same batch is finite in {better[0].precision}: try --precision float32"
    return f", {own.first}"


def keep(
    folder: Path,
    plan: Plan,
    step: int,
    *,
    batch: dict[str, Tensor],
    weights: dict[str, Tensor],
    facts: dict[str, Any],
    looks: list[Look],
) -> Path | None:
    """Write what a replay needs; None where the disk does not take it.

    Args:
        folder: the run.
        plan: of the run.
        step: that failed.
        batch: its tensors.
        weights: of the model before the step.
        facts: more for `divergence.json`.
        looks: at the step.
    """
    place = folder / "debug" / f"step-{step:06d}"
    seeds = {name: stream_seed(plan.seed, name, step) for name in ("dropout", "augment")}
    told = {
        "step": step,
        "seed": plan.seed,
        "stream_seeds": seeds,
        **facts,
        "looks": [each.to_json() for each in looks],
        "plan": plan.to_json(),
    }
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, values in (("batch", batch), ("weights", weights)):
            plain = {key: value.detach().cpu().contiguous() for key, value in values.items()}
            save_file(plain, place / f"{name}.safetensors")
        (place / "divergence.json").write_text(json.dumps(told, indent=1, default=str) + "\n")
    except OSError as error:
        logger.warning("the failed batch could not be kept in %s: %s", place, error.strerror)
        return None
    return place


def _bad_weight(model: nn.Module) -> str | None:
    return next((name for name, each in model.state_dict().items() if not _is_finite(each)), None)


def _bad_gradient(model: nn.Module) -> str | None:
    named = ((name, each.grad) for name, each in model.named_parameters())
    return next((name for name, grad in named if grad is not None and not _is_finite(grad)), None)


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())
