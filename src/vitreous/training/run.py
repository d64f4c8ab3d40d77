"""One run, from an open folder to a model folder, in an order that fails early.

    data and scan → every `auto` resolved → model built and checked → first checkpoint → loop → model

Nothing is trained before everything that can be wrong has been looked at, and everything decided is in the
first checkpoint.
"""

import dataclasses
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from vitreous.analysis.cost import cost
from vitreous.data.images import ImageData, open_images
from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.interop.model_folder import save_model
from vitreous.models.vision_transformer import build
from vitreous.training import automatic
from vitreous.training.assemble import (
    make_augmentation,
    make_model,
    make_objective,
    make_step,
    make_train_batches,
    make_val_batches,
    shared,
)
from vitreous.training.balance import balance_table
from vitreous.training.checkpoint import Checkpoint, load_newest, remove_unfinished
from vitreous.training.decide import decide, fit_into_time
from vitreous.training.environment import describe_environment
from vitreous.training.guard_run import warn_of_length, warn_of_mistakes
from vitreous.training.guards import ema_left_behind
from vitreous.training.guide import find_guide, guided
from vitreous.training.interruption import Interruption
from vitreous.training.loop import Loop
from vitreous.training.machine import look_at_machine
from vitreous.training.objective import Objective
from vitreous.training.on_track import follow
from vitreous.training.outcome import best_last_table
from vitreous.training.pace import left_out, make_pace
from vitreous.training.plan import Plan
from vitreous.training.probes import Probes, make_probes
from vitreous.training.record import decisions, describe_data, environment_changes, provenance
from vitreous.training.resolved_config import resolved_yaml
from vitreous.training.run_folder import RunFolder, write_text
from vitreous.training.settings import TrainSettings
from vitreous.training.stopping import Judge
from vitreous.training.surroundings import torch_as_planned
from vitreous.training.tally import HEADLINES, headline_of
from vitreous.training.validation import validate
from vitreous.training.world import World

logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class TrainResult:
    """What a training run leaves.

    Args:
        run_dir: the run folder.
        metrics: of the delivered model, under the names of `metrics.jsonl` (fractions 0 to 1): `val/top1`,
            `val/top5`, `val/f1_macro`, `val/loss` (of multi-label images `val/map`, …), measured in float32;
            `train/loss`, `best/epoch` and sizes.
        model_dir: the delivered model, for `vitreous.load`.
    """

    run_dir: Path
    metrics: dict[str, float]
    model_dir: Path


class Run:
    """The steps of a run, in order.

    Args:
        folder: open and locked.
        settings: as given.
        begun: `time.perf_counter()` when the command began.
        world: the processes that train together; the first one decides and writes.
    """

    def __init__(self, folder: RunFolder, settings: TrainSettings, begun: float, world: World) -> None:
        self.folder = folder
        self.settings = settings
        self.begun = begun
        self.world = world

    def go(self) -> TrainResult:
        """From the data to the delivered model; raises what `train` raises."""
        settings, folder = self.settings, self.folder
        world = self.world
        if world.first:
            remove_unfinished(folder.checkpoints)
        checkpoint = world.led(lambda: load_newest(folder.checkpoints)) if folder.continuing else None
        with Interruption() as interruption:
            data = world.led(
                lambda: open_images(
                    settings.data,
                    loading=settings.loading,
                    seed=settings.seed,
                    split_file=folder.path / "split.csv",
                    need=("train", "val"),
                )
            )
            logger.info("%s", data.scan)
            if checkpoint is None:
                plan = world.by_first(lambda: decide(settings, data, world.size))
            else:
                plan = self._recall(checkpoint, data)
            plan = dataclasses.replace(plan, device=world.device(plan.device))
            with torch_as_planned(plan):
                return self._train(plan, data, checkpoint, interruption)

    def _recall(self, checkpoint: Checkpoint, data: ImageData) -> Plan:
        """The plan of a run that is continued."""
        plan = Plan.from_json(checkpoint.state["plan"])
        if plan.fingerprint != data.fingerprint or plan.classes != data.classes:
            raise ResumeMismatch(
                f"{self.folder.path}: the data are not those that this run was started with; put them back, "
                "or start over with --fresh"
            )
        machine = look_at_machine()
        automatic.choose_device(
            dataclasses.replace(self.settings, device=plan.device), machine, automatic.Reasons()
        )  # raises where this machine lacks it
        logger.info(
            "continuing %s from step %d of %d", self.folder.path, checkpoint.state["step"], plan.total_steps
        )
        plan = self._shared_anew(plan)
        changed = environment_changes(self.folder.path, plan.device)
        if changed:
            logger.warning(
                "this run was started elsewhere (%s); it goes on, but no longer bit for bit",
                "; ".join(changed),
            )
        return plan

    def _shared_anew(self, plan: Plan) -> Plan:
        """The plan of a run that other processes, or as many in another way, continue."""
        size, sharding = self.world.size, self.settings.sharding
        if (plan.processes, plan.sharding) == (size, sharding):
            return plan
        parts = size * plan.recipe.accumulate
        if plan.batch_size % parts:
            works = [n for n in range(1, 65) if plan.batch_size % (n * plan.recipe.accumulate) == 0]
            raise ConfigError(
                f"the batch of {plan.batch_size} of this run does not divide over {size} processes; "
                f"{', '.join(map(str, works))} do"
            )
        logger.info(
            "%d %s (%s) continue what %d (%s) began: the same batches and draws, sums in another order",
            size, "processes" if size > 1 else "process", sharding, plan.processes, plan.sharding,
        )  # fmt: skip
        threads = torch.get_num_threads()
        return dataclasses.replace(plan, processes=size, sharding=sharding, threads=threads)

    def _train(
        self, plan: Plan, data: ImageData, checkpoint: Checkpoint | None, interruption: Interruption
    ) -> TrainResult:
        world, settings = self.world, self.settings
        model, forward = world.led(lambda: make_model(plan, settings if checkpoint is None else None))
        forward = shared(plan, model, forward, world)
        train_batches = world.led(lambda: make_train_batches(plan, data, self.settings.loading, world))
        val_batches = world.led(lambda: make_val_batches(plan, data, self.settings.loading, world))
        if checkpoint is None and world.first:
            warn_of_mistakes(settings, plan, data, train_batches, val_batches)
        augment = make_augmentation(plan, world)
        objective = world.led(lambda: make_objective(plan, data, self.settings.loading))
        guide, earlier_s = world.led(
            lambda: find_guide(plan, settings, data, self.folder.path, interruption, self.begun)
        )
        if guide is not None:
            objective = guided(plan, objective, guide)
        plan = self._taught(plan, objective, continuing=checkpoint is not None)
        if plan.total_steps == 0:
            plan = fit_into_time(
                self.settings,
                plan,
                model,
                forward,
                train_batches,
                val_batches,
                augment,
                objective,
                self.begun - earlier_s,
                world,
            )
            plan = dataclasses.replace(world.from_first(plan), device=plan.device)
            augment = make_augmentation(plan, world)  # whether it mixes depends on the length
            if checkpoint is None and world.first:
                warn_of_length(plan)
        if checkpoint is None and world.first:
            self._write_down(plan, data)
        loop = Loop(
            trainee=make_step(plan, model, forward, objective, world),
            plan=plan,
            train=train_batches,
            val=val_batches,
            augment=augment,
            folder=self.folder.path,
            saving=self.settings.saving,
            interruption=interruption,
            begun=self.begun,
            curve=follow(self.settings.reference, plan),
            judge=Judge(self.settings.stopping),
            probes=self._probes(plan, data) if world.first else None,
            probe_every=self.settings.probing.every,
            tensorboard=self.settings.log == "tensorboard",
            pace=make_pace(settings, plan, earlier_s),
        )
        if checkpoint is not None:
            loop.restore(checkpoint)
        loop.run(metrics_bytes=0 if checkpoint is None else checkpoint.state["metrics_bytes"])
        return self._finish(loop, multi_label=data.multi_label)

    def _probes(self, plan: Plan, data: ImageData) -> Probes | None:
        split = data.splits["val"]
        return make_probes(self.settings, split, plan.preprocessing, plan.device, plan.precision)

    def _taught(self, plan: Plan, objective: Objective, *, continuing: bool) -> Plan:
        """The plan with what its teacher is known by."""
        if continuing and plan.taught_by != objective.taught_by:
            raise ResumeMismatch(
                f"{self.folder.path}: the weights of the teacher "
                f"{plan.distilling.teacher or plan.guidance.teacher} are not those that this run was started "
                "with; put them back, or start over with --fresh"
            )
        return dataclasses.replace(plan, taught_by=objective.taught_by)

    def _write_down(self, plan: Plan, data: ImageData) -> None:
        """Everything decided, to the folder and to the reader."""
        folder, counted = self.folder, cost(plan.config)
        folder.write_json("classes.json", list(data.classes))
        folder.write_json("env.json", describe_environment(plan.device))
        described = describe_data(data, plan)
        folder.write_json("data.json", described)
        write_text(folder.path / "config.yaml", resolved_yaml(self.settings, plan))
        for line in decisions(plan, counted):
            logger.info("%s", line)
        if "balance" in described:
            logger.info("%s", balance_table(described["balance"]))
        logger.info("run folder %s", folder.path)

    def _finish(self, loop: Loop, *, multi_label: bool) -> TrainResult:
        """Deliver the best weights, draw, and tell."""
        from vitreous.training.curves import draw_curves  # matplotlib: only where a run gets this far

        plan, folder = loop.plan, self.folder
        assert loop.best is not None
        model = build(plan.config)
        model.load_state_dict(loop.best_weights)
        model.to(plan.device)
        # once more in float32, as `evaluate` measures: these are the numbers that travel with the model
        measured = validate(model, loop.val.all(), plan.preprocessing, precision="float32", world=self.world)
        counted = cost(plan.config)
        metrics = {
            **{f"val/{name}": value for name, value in measured.items()},
            "train/loss": loop.latest["train/loss"],
            "best/epoch": loop.best["epoch"],
            "model/params": float(counted.parameters),
            "model/macs": float(counted.macs),
        }
        model_dir = folder.path / "model"
        if not self.world.first:
            return TrainResult(folder.path, metrics, model_dir)
        save_model(
            model_dir,
            model,
            classes=plan.classes,
            preprocessing=plan.preprocessing,
            metrics=metrics,
            provenance=provenance(self.settings, plan, loop.best, loop.step, loop.taken),
            multi_label=multi_label,
        )
        metric = headline_of(measured)
        reached = f"{HEADLINES[metric]} {100 * measured[metric]:.2f} % on validation images"
        picture = draw_curves(folder.path, f"{plan.config.name}: {reached}")
        if behind := ema_left_behind(loop.latest):
            logger.warning("%s", behind)
        wall_s = loop.wall_before + time.perf_counter() - self.begun
        logger.info("%s", best_last_table(loop.best, loop.latest, loop.step, plan, wall_s))
        logger.info("model    %s", model_dir)
        logger.info("metrics  %s and metrics.csv", folder.path / "metrics.jsonl")
        logger.info("pictures %s", picture)
        ended = loop.judge.ended if loop.step < plan.total_steps else None
        folder.end(
            "finished",
            exit_code=0,
            ended=(f"early: {ended}" if ended else "the schedule was trained to its end")
            + left_out(loop.taken, loop.step),
            best=loop.best,
            metrics=metrics,
            wall_s=round(wall_s, 1),
        )
        return TrainResult(folder.path, metrics, model_dir)
