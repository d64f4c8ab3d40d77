"""The plan of a new run: every rule of `automatic.py` applied in order, then the length."""

import dataclasses
import itertools
import logging
import time

import torch
from torch import nn

from vitreous.analysis.cost import cost
from vitreous.data.augment import Augmentation
from vitreous.data.batch import Batch
from vitreous.data.batches import Batches, choose_path
from vitreous.data.images import ImageData
from vitreous.data.statistics import fit_preprocessing, training_storage
from vitreous.training import automatic
from vitreous.training.assemble import make_step
from vitreous.training.choose_model import choose_model, token_warning
from vitreous.training.choose_teachers import choose_distilling, choose_guidance
from vitreous.training.fine_tuning import pretrained_of, with_known_statistics
from vitreous.training.machine import look_at_machine
from vitreous.training.multi_label import check_multi_label
from vitreous.training.objective import Objective
from vitreous.training.plan import Plan
from vitreous.training.progressive import check_progressive
from vitreous.training.settings import TrainSettings
from vitreous.training.step import Forward
from vitreous.training.stopping import check_metric
from vitreous.training.surroundings import DETERMINISM_COSTS
from vitreous.training.time_budget import fit_steps, measure_step, parse_time
from vitreous.training.validation import validate
from vitreous.training.world import World

logger = logging.getLogger("vitreous")


def decide(settings: TrainSettings, data: ImageData, processes: int = 1) -> Plan:
    """The plan of a new run; with `time` its length is still to be measured (`total_steps` 0).

    Args:
        settings: as given.
        data: opened.
        processes: how many train together.

    Raises:
        ConfigError: anything that cannot be trained: said before the first batch.
    """
    check_metric(settings.stopping, multi_label=data.multi_label)
    if data.multi_label:
        check_multi_label(settings)
    reasons = automatic.Reasons()
    machine = look_at_machine()
    images = len(data.splits["train"])
    device = automatic.choose_device(settings, machine, reasons, processes)
    pretrained = pretrained_of(settings)
    config = choose_model(settings, data, device, reasons, pretrained)
    counted = cost(config)  # also builds it once without values: sizes that do not fit fail here
    warning = token_warning(config)
    if warning:
        logger.warning("%s", warning)
    precision = automatic.choose_precision(settings, device, machine, reasons)
    batch_size, warning = automatic.choose_batch_size(settings, images, config, device, reasons, processes)
    if warning:
        logger.warning("%s", warning)
    lr = automatic.choose_lr(settings, batch_size, reasons)
    recipe = automatic.choose_recipe(settings.recipe, config, data, reasons)
    check_progressive(recipe, config)
    steps_per_epoch = images // batch_size
    if settings.time is None:
        epochs = automatic.choose_epochs(settings, images, device, reasons)
        total_steps = epochs * steps_per_epoch
        recipe = automatic.choose_by_length(recipe, total_steps, steps_per_epoch, reasons)
    else:
        epochs, total_steps = 0, 0
    seconds = automatic.estimated_seconds(settings, counted.macs, epochs * images, device, machine)
    side = max(config.image.height, config.image.width)
    compiled = automatic.choose_compile(settings, device, precision, seconds, side, machine, reasons)
    preprocessing, reasons.sentences["preprocessing"] = fit_preprocessing(
        data.splits["train"],
        channels=config.image.channels,
        height=config.image.height,
        width=config.image.width,
        crop=recipe.crop,
        loading=settings.loading,
    )
    preprocessing = with_known_statistics(preprocessing, pretrained, reasons.sentences)
    path, reasons.sentences["loading.path"] = choose_path(
        len(data.splits["train"].pool), training_storage(preprocessing, recipe.crop), settings.loading
    )
    if settings.deterministic:
        reasons.sentences["deterministic"] = DETERMINISM_COSTS
    distilling = choose_distilling(settings.distilling, config, path, reasons)
    guidance = choose_guidance(settings.guidance, config, epochs, reasons)
    return Plan(
        config=config,
        preprocessing=preprocessing,
        recipe=recipe,
        device=device,
        precision=precision,
        compiled=compiled,
        threads=torch.get_num_threads(),
        processes=processes,
        sharding=settings.sharding,
        batch_size=batch_size,
        lr=lr,
        seed=settings.seed,
        deterministic=settings.deterministic,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        eval_steps=settings.eval_every * steps_per_epoch,
        log_steps=max(1, min(50, steps_per_epoch)),
        loading_path=path,
        classes=data.classes,
        fingerprint=data.fingerprint,
        reasons=reasons.sentences,
        distilling=distilling,
        guidance=guidance,
    )


def fit_into_time(
    settings: TrainSettings,
    plan: Plan,
    model: nn.Module,
    forward: Forward,
    train_batches: Batches,
    val_batches: Batches,
    augment: Augmentation,
    objective: Objective,
    begun: float,
    world: World | None = None,
) -> Plan:
    """The plan with the number of steps that fit into `settings.time`.

    Args:
        settings: of the run.
        plan: without a length.
        model: left as it is found.
        forward: the same, perhaps compiled.
        train_batches: of the run.
        val_batches: of the run.
        augment: of the run.
        objective: of the run.
        begun: `time.perf_counter()` when the run began.
        world: the processes that train together; they measure together, and the first one decides.
    """
    assert settings.time is not None
    budget_s = parse_time(settings.time)
    long = dataclasses.replace(
        plan,
        total_steps=1_000_000,
        recipe=dataclasses.replace(plan.recipe, ema_decay=0.5 if plan.recipe.ema else "auto"),
    )
    throwaway = make_step(long, model, forward, objective, world)

    def take_step(batch: Batch, step: int) -> None:
        throwaway.backward(objective.show(batch, augment, step), step)
        throwaway.update()

    moved = nn.ModuleList([model, objective])
    step_s = measure_step(moved, take_step, train_batches.from_step(0), most_s=0.03 * budget_s, world=world)
    if plan.recipe.progressive_size is not None:  # these were small images; now the others
        share, halfway = plan.recipe.progressive_share, round(plan.recipe.progressive_share * 1_000_000)
        later_s = measure_step(
            moved,
            take_step,
            train_batches.from_step(0),
            most_s=0.03 * budget_s,
            first=halfway,
            world=world,
        )
        step_s = share * step_s + (1 - share) * later_s
    validation_s = measure_validation(plan, model, val_batches, world)
    final_s = measure_validation(as_delivered(plan), model, val_batches, world)
    total_steps = fit_steps(
        budget_s,
        spent_s=time.perf_counter() - begun,
        step_s=step_s,
        validation_s=validation_s,
        eval_steps=plan.eval_steps,
        final_s=final_s,
    )
    reasons = automatic.Reasons(dict(plan.reasons))
    reasons.sentences["epochs"] = (
        f"{total_steps:,} steps fit into {settings.time}: a step takes {1e3 * step_s:.0f} ms, "
        f"a validation {validation_s:.1f} s, {time.perf_counter() - begun:.0f} s went into preparation"
    )
    recipe = automatic.choose_by_length(plan.recipe, total_steps, plan.steps_per_epoch, reasons)
    if total_steps < plan.steps_per_epoch:
        logger.warning(
            "%s is only %.2f passes over the training images; give more --time or a smaller --model",
            settings.time, total_steps / plan.steps_per_epoch,
        )  # fmt: skip
    return dataclasses.replace(plan, total_steps=total_steps, recipe=recipe, reasons=reasons.sentences)


def measure_validation(plan: Plan, model: nn.Module, batches: Batches, world: World | None) -> float:
    """About how long one validation takes, of the weights and their average."""
    count = min(3, batches.steps_per_epoch)
    for most in (1, count):  # the first pass warms up
        start = time.perf_counter()
        some = itertools.islice(batches.all(), most)
        validate(model, some, plan.preprocessing, precision=plan.precision, world=world)
    seconds = (time.perf_counter() - start) / count * batches.steps_per_epoch
    return seconds * (2 if plan.recipe.ema else 1)


def as_delivered(plan: Plan) -> Plan:
    """The plan by which the delivered weights are measured once more: in float32, without an average."""
    precision = "float64" if plan.precision == "float64" else "float32"
    return dataclasses.replace(plan, precision=precision, recipe=dataclasses.replace(plan.recipe, ema=False))
