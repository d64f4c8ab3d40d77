"""Plan before you pay: what a training run would do and cost, from seven steps that are thrown away.

    data and scan → every `auto` resolved → model, batches → 2 steps to warm up, 5 timed, 3 validation batches

These are the run's own first steps: same model, weights, batches and augmentation. Nothing of them stays but
the cache of decoded images, which the run would make too. No run folder is made, and random streams, being
functions of seed and step, are as they were.
"""

import contextlib
import dataclasses
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vitreous.analysis.cost import Cost, cost
from vitreous.data.images import ImageData, open_images
from vitreous.data.memory import available_bytes, device_bytes
from vitreous.data.statistics import training_storage
from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.runs.called import settings_of_call
from vitreous.runs.dry_run_pictures import draw_first_batch, draw_learning_rate
from vitreous.runs.memory_use import MemoryUse, memory_use, peak_of, tensor_bytes
from vitreous.runs.prospect import Prospect, look_ahead
from vitreous.training import automatic
from vitreous.training.assemble import (
    make_augmentation,
    make_model,
    make_objective,
    make_step,
    make_train_batches,
    make_val_batches,
)
from vitreous.training.check_settings import check_settings
from vitreous.training.decide import as_delivered, decide, measure_validation
from vitreous.training.guard_run import warn_of_length, warn_of_mistakes
from vitreous.training.guide import guided, untrained_guide
from vitreous.training.objective import Shown
from vitreous.training.pace import Pace
from vitreous.training.plan import Plan
from vitreous.training.processes import Process
from vitreous.training.record import decisions
from vitreous.training.schedule import make_schedule
from vitreous.training.settings import TrainSettings
from vitreous.training.step import TrainStep
from vitreous.training.surroundings import audible, torch_as_planned
from vitreous.training.time_budget import FINISH_S, fit_steps, parse_time, planned_step

WARM_UP, TIMED = 2, 5
POINTS = 400  # of the learning-rate curve


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Bytes that a run writes.

    Args:
        checkpoint: one: weights, average, best weights, optimizer.
        checkpoints: those that are kept, and one more while it is written.
        model: the delivered folder.
        cache: decoded images, shared by all runs on these data; 0 where images are streamed.
        free: where the run folder would be.
    """

    checkpoint: int
    checkpoints: int
    model: int
    cache: int
    free: int


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run would do and cost.

    Args:
        prospect: start, continue, or refuse.
        plan: all that was decided.
        cost: parameters and MACs, with the tokens of every layer.
        step_s: the timed steps.
        validation_s: one validation of all weights that are validated.
        steps_left: to the end of the run, without those that it leaves out for time.
        eta_s: training and validation of them.
        memory: of a step.
        memory_free: on the device, or of the machine, before the model was made.
        disk: what is written.
        rates: (epoch, learning rate) over the whole run.
        pictures: files: `first_batch` and `learning_rate`.
    """

    prospect: Prospect
    plan: Plan
    cost: Cost
    step_s: tuple[float, ...]
    validation_s: float
    steps_left: int
    eta_s: float
    memory: MemoryUse
    memory_free: int
    disk: Disk
    rates: tuple[tuple[float, float], ...]
    pictures: dict[str, Path]

    @property
    def not_counted(self) -> str:
        """What a run of this plan does beside what was measured, as a sentence; empty for nothing."""
        if self.plan.guidance.teacher is not None:
            return "the training of the guide, which comes first"
        if self.plan.recipe.progressive_size is not None:
            return "that the first part has smaller images, which go faster"
        if self.plan.processes > 1:
            return f"that {self.plan.processes} processes share each step, which one took here"
        return "compilation, about a minute" if self.plan.compiled else ""

    def __repr__(self) -> str:
        return (
            f"DryRun(would {self.prospect.sentence}; {self.cost.parameters:,} parameters, "
            f"{self.steps_left:,} steps of {1e3 * statistics.median(self.step_s):.0f} ms, "
            f"{self.eta_s:.0f} s in all)"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; seconds, bytes, fractions."""
        median_s = statistics.median(self.step_s)
        return {
            "would": {
                "kind": self.prospect.kind,
                "sentence": self.prospect.sentence,
                "folder": None if self.prospect.folder is None else str(self.prospect.folder),
            },
            "decisions": list(decisions(self.plan, self.cost)),
            "parameters": self.cost.parameters,
            "macs": self.cost.macs,
            "layers": [dataclasses.asdict(each) for each in self.cost.by_layer],
            "steps": {"left": self.steps_left, "total": self.plan.total_steps, "timed_s": self.step_s},
            "images_per_second": self.plan.batch_size / median_s,
            "validation_s": self.validation_s,
            "not_counted": self.not_counted,
            "eta_s": self.eta_s,
            "memory": {**dataclasses.asdict(self.memory), "free": self.memory_free},
            "disk": dataclasses.asdict(self.disk),
            "learning_rate": self.rates,
            "pictures": {name: str(path) for name, path in self.pictures.items()},
        }


def plan_run(*arguments: Any, **named: Any) -> DryRun:
    """What `vitreous.train` with these arguments would do and cost, without training.

    Args:
        arguments: as of `vitreous.train`.
        named: as of `vitreous.train`.

    Returns:
        The plan with measured times, memory and disk; the pictures are beside the run folder
        (`OUT-dry-run`), or in a temporary folder where no `out` is given.

    Raises:
        ConfigError: settings that cannot be used; a folder that would be refused is told and not raised.
        DataError: images that cannot be used.
    """
    settings = settings_of_call(*arguments, **named)
    check_settings(settings)
    with audible(Process()), tempfile.TemporaryDirectory(prefix="vitreous-") as scratch:
        prospect = look_ahead(settings)
        split_file = Path(scratch) / "split.csv"
        if prospect.kind in ("continue", "finished") and prospect.folder is not None:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(prospect.folder / "split.csv", split_file)
        data = open_images(
            settings.data,
            loading=settings.loading,
            seed=settings.seed,
            split_file=split_file,
            need=("train", "val"),
        )
        plan, prospect = _plan(settings, data, prospect)
        with torch_as_planned(plan):
            return _measured(settings, plan, data, prospect)


def _plan(settings: TrainSettings, data: ImageData, prospect: Prospect) -> tuple[Plan, Prospect]:
    """That of the checkpoint which would be continued, or a new one."""
    if prospect.checkpoint is None:
        return decide(settings, data, settings.devices), prospect
    plan = Plan.from_json(prospect.checkpoint.state["plan"])
    if plan.fingerprint == data.fingerprint and plan.classes == data.classes:
        return plan, prospect
    error = ResumeMismatch(f"{prospect.folder}: the data are not those that this run was started with")
    refused = Prospect(kind="refuse", sentence=f"refuse: {error}", error=error)
    return decide(settings, data, settings.devices), refused


def _measured(settings: TrainSettings, plan: Plan, data: ImageData, prospect: Prospect) -> DryRun:
    begun = time.perf_counter()
    device = torch.device(plan.device)
    free = device_bytes(device) or available_bytes()
    model, forward = make_model(plan, settings if prospect.checkpoint is None else None)
    train = make_train_batches(plan, data, settings.loading)
    val = make_val_batches(plan, data, settings.loading)
    if prospect.checkpoint is None:
        warn_of_mistakes(settings, plan, data, train, val)
    augment, objective = make_augmentation(plan), make_objective(plan, data, settings.loading)
    if plan.guidance.teacher is not None:
        objective = guided(plan, objective, untrained_guide(plan))
    long = _with_length(plan, 1_000_000)
    trainee = make_step(long, model, forward, objective)
    recipe = plan.recipe
    whole = 0 if recipe.progressive_size is None else round(recipe.progressive_share * long.total_steps)
    with peak_of(device) as peak:
        batches = (objective.show(each, augment, step) for step, each in enumerate(train.from_step(0)))
        first, step_s = _steps(trainee, batches, whole)
        validation_s = measure_validation(plan, model, val, None)
    memory = memory_use(trainee, first, recipe.accumulate, peak)
    usual_s = planned_step(step_s)
    if not plan.total_steps:
        assert settings.time is not None
        spent_s = time.perf_counter() - begun
        steps = fit_steps(
            parse_time(settings.time), spent_s=spent_s, step_s=usual_s, validation_s=validation_s,
            eval_steps=plan.eval_steps, final_s=measure_validation(as_delivered(plan), model, val, None),
        )  # fmt: skip
        plan = _with_length(plan, steps)
        warn_of_length(plan)
    state: dict[str, Any] = {"step": 0} if prospect.checkpoint is None else prospect.checkpoint.state
    ahead = plan.total_steps - state["step"]
    # a run whose machine got slower leaves some of them out
    left = Pace(**state["pace"]).left(state["step"]) if "pace" in state else ahead
    validations = math.ceil(ahead / plan.eval_steps)
    schedule = make_schedule(
        trainee.optimizer, plan.recipe, total_steps=plan.total_steps, steps_per_epoch=plan.steps_per_epoch
    )
    numbers = sorted({round((plan.total_steps - 1) * place / POINTS) for place in range(POINTS + 1)})
    rates = tuple((step / plan.steps_per_epoch, schedule.set(step)) for step in numbers)
    counted = cost(plan.config)
    folder = pictures_folder(settings)
    pictures = {
        "first_batch": draw_first_batch(
            folder / "first_batch.png", first, plan.preprocessing, plan.classes, plan.config.name
        ),
        "learning_rate": draw_learning_rate(folder / "learning_rate.png", rates, plan.config.name),
    }
    return DryRun(
        prospect=prospect,
        plan=plan,
        cost=counted,
        step_s=step_s,
        validation_s=validation_s,
        steps_left=left,
        eta_s=left * usual_s + validations * validation_s + FINISH_S,
        memory=memory,
        memory_free=free,
        disk=_disk(settings, plan, data, trainee),
        rates=rates,
        pictures=pictures,
    )


def _steps(trainee: TrainStep, batches: Iterator[Shown], number: int) -> tuple[Shown, tuple[float, ...]]:
    """The first batch, and the seconds of each timed step, its batch and augmentation included.

    Args:
        trainee: moves its weights.
        batches: from the first.
        number: of the first step, where images have their full size.
    """
    times: list[float] = []
    first: Shown | None = None
    for step in range(WARM_UP + TIMED):
        start = time.perf_counter()
        shown = next(batches)
        measured = trainee.backward(shown, number + step)
        trainee.update()
        measured.tolist()  # waits for a GPU
        times.append(time.perf_counter() - start)
        first = first or shown
    assert first is not None
    return first, tuple(times[WARM_UP:])


def _with_length(plan: Plan, steps: int) -> Plan:
    """A plan whose length is still open, with this one."""
    if plan.total_steps:
        return plan
    recipe = automatic.choose_by_length(plan.recipe, steps, plan.steps_per_epoch, automatic.Reasons())
    return dataclasses.replace(plan, total_steps=steps, recipe=recipe)


def _disk(settings: TrainSettings, plan: Plan, data: ImageData, trainee: TrainStep) -> Disk:
    weights = trainee.weights()
    model = tensor_bytes(weights["model"])
    checkpoint = tensor_bytes(weights) + model + tensor_bytes(trainee.optimizer_state())
    stored = training_storage(plan.preprocessing, plan.recipe.crop)
    image = stored.channels * stored.height * stored.width
    resident = plan.loading_path == "resident"
    place = Path(settings.out or ".").absolute()
    while not place.exists():
        place = place.parent
    return Disk(
        checkpoint=checkpoint,
        checkpoints=checkpoint * (settings.saving.keep + 1),
        model=model,
        cache=image * len(data.splits["train"].pool) if resident else 0,
        free=shutil.disk_usage(place).free,
    )


def pictures_folder(settings: TrainSettings) -> Path:
    """Beside the run folder that was asked for, or a temporary one."""
    if settings.out is None:
        return Path(tempfile.mkdtemp(prefix="vitreous-dry-run-"))
    out = Path(settings.out)
    folder = out.with_name(f"{out.name}-dry-run")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}; give another --out") from None
    return folder
