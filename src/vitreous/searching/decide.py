"""What is decided before anything is trained: the images, the space and how the supernet learns, once.

A search that is continued finds in `plan.json` what it decided, and goes on with that.
"""

import dataclasses
import json
import logging

import torch

from vitreous.data.images import ImageData
from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.models.as_json import to_json
from vitreous.searching.budget import Budget, parse_budget
from vitreous.searching.choose_space import choose_space, device_of
from vitreous.searching.clock import Clock
from vitreous.searching.feasible import check_budget
from vitreous.searching.folder import SearchFolder
from vitreous.searching.open_ledger import identity_of, open_ledger, study_of
from vitreous.searching.settings import SearchSettings
from vitreous.searching.space import Space
from vitreous.searching.splits import open_search_data
from vitreous.searching.task import Task
from vitreous.searching.train_supernet import whole_batch
from vitreous.training.automatic import Reasons, choose_device
from vitreous.training.decide import decide
from vitreous.training.machine import look_at_machine
from vitreous.training.plan import Plan
from vitreous.training.run_folder import write_text
from vitreous.training.settings import TrainSettings
from vitreous.training.world import World

logger = logging.getLogger("vitreous")


def begin(settings: SearchSettings, folder: SearchFolder, clock: Clock, world: World) -> Task:
    """Open the images and decide, or recall, what all phases need.

    Raises:
        ConfigError: what cannot be searched, or a worker without a search that has decided.
        DataError: images that cannot be used, or of one class.
        BudgetError: no architecture is within the budget.
        ResumeMismatch: the folder is of other images, or of another space.
    """
    data = world.led(
        lambda: open_search_data(
            settings.data,
            loading=settings.loading,
            seed=settings.seed,
            split_file=folder.path / "split.csv",
            choice=settings.choice,
        )
    )
    logger.info("%s", data.scan)
    kept, budget, reasons = world.from_first(folder.plan), parse_budget(settings.budget), Reasons()
    # what was `auto` stays what it became, on a machine with another device, too
    asked = dataclasses.replace(settings, **kept.get("chosen", {}))
    device = device_of(settings)
    name, space = choose_space(asked, data, device, reasons)
    plan = world.by_first(lambda: _plan(settings, folder, data, space, budget, reasons, world))
    plan = dataclasses.replace(plan, device=world.device(plan.device))
    task = Task(settings, folder, clock, world, budget, data, name, space, plan)
    if plan.total_steps and not kept:
        keep_plan(task)
    return task


def keep_plan(task: Task) -> None:
    """Write down what was decided, the length of the supernet's training included."""
    task.folder.decide(
        plan=dataclasses.replace(task.plan, device=task.device).to_json(),
        chosen={"space": task.space_name, "image_size": task.space.config.image.height},
        space=task.space.to_json(),
        study=study_of(task.folder),
    )


def _plan(
    settings: SearchSettings,
    folder: SearchFolder,
    data: ImageData,
    space: Space,
    budget: Budget,
    reasons: Reasons,
    world: World,
) -> Plan:
    check_budget(space, budget)
    if settings.worker and not folder.plan:
        raise ConfigError(f"--worker: the search in {folder.path} has decided nothing yet; try later")
    if settings.storage is not None:  # before hours of training: can it be reached, is it this search's
        open_ledger(settings, folder, identity_of(settings, space, data, str(budget))).close()
    if folder.plan:
        plan = _recalled(folder, data, space)
        return plan if settings.worker else _shared_anew(plan, world)
    plan = _planned(settings, data, space, reasons, world)
    write_text(folder.path / "space.json", json.dumps(space.to_json(), indent=1) + "\n")
    return plan


def _recalled(folder: SearchFolder, data: ImageData, space: Space) -> Plan:
    kept = folder.plan
    plan = Plan.from_json(kept["plan"])
    if plan.fingerprint != data.fingerprint or plan.classes != data.classes:
        raise ResumeMismatch(
            f"{folder.path}: the data are not those that this search was started with; put them back, or "
            "start over with --fresh"
        )
    if kept["space"] != space.to_json():
        raise ResumeMismatch(
            f"{folder.path}: the space {space.name} is not what it was when this search was started "
            f"({folder.path / 'space.json'}); put it back, or start over with --fresh"
        )
    choose_device(TrainSettings(device=plan.device), look_at_machine(), Reasons())  # raises where it is not
    return plan


def _shared_anew(plan: Plan, world: World) -> Plan:
    """The plan of a search that another number of processes continues."""
    if plan.processes == world.size:
        return plan
    logger.info(
        "%d process%s continue what %d began: the same batches and draws, sums in another order",
        world.size, "es" * (world.size > 1), plan.processes,
    )  # fmt: skip
    return dataclasses.replace(plan, processes=world.size, threads=torch.get_num_threads())


def _planned(settings: SearchSettings, data: ImageData, space: Space, reasons: Reasons, world: World) -> Plan:
    any_model = space.resolve(space.cheapest("macs"))
    plan = decide(
        TrainSettings(
            data=settings.data,
            model=json.dumps(to_json(any_model)),
            epochs=settings.supernet.epochs,
            time=settings.time,
            batch_size=settings.batch_size,
            lr=settings.lr,
            seed=settings.seed,
            precision=settings.precision,
            device=settings.device,
            compile=False,
            recipe=dataclasses.replace(settings.recipe, ema=False),
            loading=settings.loading,
        ),
        data,
        world.size,
    )
    paths = 3 if settings.supernet.sandwich else 1
    return dataclasses.replace(
        plan,
        batch_size=whole_batch(plan.batch_size, paths, world.size),
        reasons=plan.reasons | reasons.sentences,
    )
