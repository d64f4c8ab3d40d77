"""The supernet of a search: how long it trains is decided once, then it is trained, or waited for."""

import dataclasses
import hashlib
import logging

from torch import nn

from vitreous.searching.clock import SUPERNET
from vitreous.searching.decide import keep_plan
from vitreous.searching.decisions import decisions
from vitreous.searching.least_time import Pace, check_time
from vitreous.searching.look import score_seconds
from vitreous.searching.score import Scorer
from vitreous.searching.strata import Paths
from vitreous.searching.task import Task
from vitreous.searching.train_supernet import SupernetTraining
from vitreous.searching.waiting import wait_until
from vitreous.training.assemble import make_train_batches, make_val_batches
from vitreous.training.interruption import Interruption
from vitreous.training.plan import Plan

logger = logging.getLogger("vitreous")


def trained_supernet(task: Task, interruption: Interruption) -> tuple[Task, Scorer, str]:
    """The search with its length, the trained supernet as a scorer, and what its weights are known by.

    Raises:
        BudgetError: the time is too short; says how much is needed.
        ConfigError: a worker that waits for a process that is gone.
        DivergedError, StoppedError: as `SupernetTraining.run` does.
    """
    settings, folder, clock = task.settings, task.folder, task.clock
    training = SupernetTraining(
        task.plan,
        task.data,
        Paths(task.space, task.budget, settings.seed, settings.supernet.strata),
        loading=settings.loading,
        sandwich=settings.supernet.sandwich,
        folder=folder.path / "supernet",
        world=task.world,
    )
    scorer = task.world.led(lambda: _scorer(task, training))
    if not task.plan.total_steps:
        task = dataclasses.replace(task, plan=_with_length(task, training, scorer))
        keep_plan(task)
        clock.plan(SUPERNET * clock.left_s)
    clock.prepared()
    if folder.leads:
        (folder.path / "supernet").mkdir(exist_ok=True)
    with clock.phase("supernet"):
        if settings.worker:
            wait_until(folder, lambda: folder.state.get("phase") not in (None, "supernet"), "the supernet")
        else:
            for line in decisions(task, sum(each.numel() for each in training.net.parameters())):
                logger.info("%s", line)
            folder.note("supernet")
        training.run(task.plan.total_steps, interruption=interruption, save_s=settings.supernet.save_s)
    return task, scorer, _digest(training.net)


def _scorer(task: Task, training: SupernetTraining) -> Scorer:
    plan, loading = task.plan, task.settings.loading
    return Scorer(
        training.net,
        make_val_batches(plan, task.data, loading),
        plan.preprocessing,
        precision=plan.precision,
        calibration=make_train_batches(plan, task.data, loading),
    )


def _with_length(task: Task, training: SupernetTraining, scorer: Scorer) -> Plan:
    """The plan with the steps that fit into the supernet's share of the time; all processes measure."""
    settings, clock, plan = task.settings, task.clock, task.plan
    assert settings.time is not None and clock.given_s is not None
    given, step_s = settings.time, training.step_seconds(0.01 * clock.given_s)
    pace = Pace(
        pass_s=step_s * plan.steps_per_epoch,
        candidate_s=score_seconds(scorer, task.space, task.budget) / task.world.size,
        networks=settings.winners + (3 if settings.compare else 0),
        compare=settings.compare,
        correlate=settings.correlate,
    )

    def fitted() -> Plan:
        check_time(clock, pace, given)
        why = (
            f"half of what {clock.spent_s:.0f} s of reading, building and measuring leave of {given}: a step "
            f"takes {1e3 * step_s:.0f} ms"
        )
        steps = max(1, int(SUPERNET * clock.left_s / step_s))
        return dataclasses.replace(plan, total_steps=steps, reasons=plan.reasons | {"epochs": why})

    return dataclasses.replace(task.world.by_first(fitted), device=plan.device)


def _digest(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, each in sorted(net.state_dict().items()):
        digest.update(name.encode() + each.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
