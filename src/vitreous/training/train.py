"""`vitreous.train`: from a data argument to a model folder, in an order that fails early.

    run folder → data and scan → every `auto` resolved → model built and checked → first checkpoint → loop →
    model

Nothing is trained before everything that can be wrong has been looked at, and everything decided is in the
first checkpoint. Typing the same command again continues from the newest whole checkpoint, with what was
decided then.
"""

import contextlib
import dataclasses
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vitreous.analysis.cost import cost
from vitreous.data.images import ImageData, open_images
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError, ResumeMismatch, StoppedError, VitreousError, did_you_mean
from vitreous.interop.model_folder import save_model
from vitreous.models.as_json import to_json
from vitreous.models.vision_transformer import VisionTransformer, build
from vitreous.training import automatic
from vitreous.training.assemble import (
    make_augmentation,
    make_model,
    make_step,
    make_train_batches,
    make_val_batches,
)
from vitreous.training.checkpoint import Checkpoint, load_newest, remove_unfinished
from vitreous.training.decide import decide, fit_into_time
from vitreous.training.environment import describe_environment
from vitreous.training.interruption import Interruption
from vitreous.training.loop import FULL, Loop
from vitreous.training.machine import look_at_machine
from vitreous.training.outcome import best_last_table
from vitreous.training.plan import Plan
from vitreous.training.recipe import Recipe
from vitreous.training.record import decisions, describe_data, environment_changes, provenance
from vitreous.training.resolved_config import resolved_yaml
from vitreous.training.run_folder import RunFolder, open_run_folder, write_text
from vitreous.training.settings import Saving, TrainSettings
from vitreous.training.surroundings import audible, torch_as_planned, written_to
from vitreous.training.time_budget import parse_time
from vitreous.training.validation import validate

logger = logging.getLogger("vitreous")
Section = Mapping[str, Any]


@dataclass(frozen=True)
class TrainResult:
    """What a training run leaves.

    Args:
        run_dir: the run folder.
        metrics: of the delivered model, under the names of `metrics.jsonl` (fractions 0 to 1): `val/top1`,
            `val/top5`, `val/loss`, measured in float32; `train/loss`, `best/epoch`, `perf/img_s` and sizes.
        model_dir: the delivered model, for `vitreous.load`.
    """

    run_dir: Path
    metrics: dict[str, float]
    model_dir: Path


def train(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    model: str | os.PathLike[str] | VisionTransformer = TrainSettings.model,
    out: str | os.PathLike[str] | None = TrainSettings.out,
    *,
    epochs: int | Literal["auto"] = TrainSettings.epochs,
    time: str | None = TrainSettings.time,
    batch_size: int | Literal["auto"] = TrainSettings.batch_size,
    lr: float | Literal["auto"] = TrainSettings.lr,
    seed: int = TrainSettings.seed,
    precision: Literal["auto", "float32", "bfloat16", "float16"] = TrainSettings.precision,
    device: str = TrainSettings.device,
    image_size: int | str | tuple[int, int] = TrainSettings.image_size,
    compile: bool | Literal["auto"] = TrainSettings.compile,
    deterministic: bool = TrainSettings.deterministic,
    eval_every: int = TrainSettings.eval_every,
    fresh: bool = TrainSettings.fresh,
    recipe: Recipe | Section | None = None,
    loading: Loading | Section | None = None,
    saving: Saving | Section | None = None,
    settings: TrainSettings | None = None,
) -> TrainResult:
    """Train a model on images, or continue a run with the same settings.

    Args:
        data: folder of class folders, parquet files or a glob of them, `torch/<name>` of torchvision, or
            `digits`.
        model: catalog name, a model's `config.json`, a config value, or `auto`.
        out: run folder; None for a new one under `runs/`, or the newest unfinished one with equal settings.
        epochs: passes over the training images.
        time: instead of epochs: training time that the whole schedule is fitted into, such as `10m`.
        batch_size: images per optimizer step.
        lr: peak learning rate.
        seed: start of every random stream.
        precision: 16-bit types are automatic mixed precision over float32 weights.
        device: `cpu`, `cuda`, `cuda:1`, `mps` or `auto`.
        image_size: pixels: a number, `ROWSxCOLUMNS`, or (rows, columns).
        compile: run the model through torch.compile.
        deterministic: refuse operations whose result may differ between runs on a GPU.
        eval_every: epochs between validations.
        fresh: move an existing run folder aside instead of continuing it.
        recipe: optimizer, schedule, augmentation; a `Recipe` or its fields that differ from the default.
        loading: how images are read; a `Loading` or its fields.
        saving: when checkpoints are written; a `Saving` or its fields.
        settings: all of the above as one value, instead of them.

    Raises:
        ConfigError: settings that cannot be used, or a folder that holds something else.
        ResumeMismatch: `out` holds a run with other settings.
        DataError: images that cannot be used.
        DivergedError: a loss or gradient that is not finite.
        StoppedError: told to stop; a checkpoint was written.
    """
    if settings is None:
        if data is None:
            raise ConfigError(
                "no data given; a folder of class folders, parquet files, torch/<name> or digits works"
            )
        single = isinstance(data, str | os.PathLike)
        settings = TrainSettings(
            data=[str(data)] if single else [str(each) for each in data],  # type: ignore[union-attr]
            model=json.dumps(to_json(model)) if isinstance(model, VisionTransformer) else str(model),
            out=None if out is None else str(out),
            epochs=epochs,
            time=time,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            precision=precision,
            device=device,
            image_size=f"{image_size[0]}x{image_size[1]}" if isinstance(image_size, tuple) else image_size,
            compile=compile,
            deterministic=deterministic,
            eval_every=eval_every,
            fresh=fresh,
            recipe=_section(Recipe, recipe, "recipe"),
            loading=_section(Loading, loading, "loading"),
            saving=_section(Saving, saving, "saving"),
        )
    elif data is not None:
        raise ConfigError("give either settings or separate arguments to train, not both")
    return train_run(settings)


def train_run(settings: TrainSettings) -> TrainResult:
    """`train` for settings as one value."""
    begun = time.perf_counter()
    _check_settings(settings)
    with audible(), contextlib.closing(open_run_folder(settings)) as folder, written_to(folder.path):
        if folder.finished:
            logger.info("%s is finished already; --fresh trains again and keeps this run aside", folder.path)
            return TrainResult(folder.path, dict(folder.state["metrics"]), folder.path / "model")
        try:
            folder.start()
            result = _Run(folder, settings, begun).go()
        except BaseException as error:
            return _failed(folder, error)
        return result


def _failed(folder: RunFolder, error: BaseException) -> TrainResult:
    """Note how a run ended, and let the error go on."""
    if isinstance(error, OSError) and error.errno in FULL:
        error = VitreousError(
            f"the disk is full ({error.filename or folder.path}); free some space and repeat the command "
            "to continue"
        )
    code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)
    if isinstance(error, ConfigError | DataError) and not folder.checkpoints.exists():
        folder.discard()  # nothing was trained: a folder with a mistake in it would only stand in the way
        raise error
    with contextlib.suppress(OSError):
        stopped = isinstance(error, StoppedError | KeyboardInterrupt)
        message = str(error) or type(error).__name__
        folder.end("interrupted" if stopped else "failed", exit_code=code, message=message)
    raise error


class _Run:
    """The steps of `train_run`, in order."""

    def __init__(self, folder: RunFolder, settings: TrainSettings, begun: float) -> None:
        self.folder = folder
        self.settings = settings
        self.begun = begun

    def go(self) -> TrainResult:
        settings, folder = self.settings, self.folder
        remove_unfinished(folder.checkpoints)
        checkpoint = load_newest(folder.checkpoints) if folder.continuing else None
        with Interruption() as interruption:
            data = open_images(
                settings.data,
                loading=settings.loading,
                seed=settings.seed,
                split_file=folder.path / "split.csv",
                need=("train", "val"),
            )
            logger.info("%s", data.scan)
            plan = decide(settings, data) if checkpoint is None else self._recall(checkpoint, data)
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
        changed = environment_changes(self.folder.path, plan.device)
        if changed:
            logger.warning(
                "this run was started elsewhere (%s); it goes on, but no longer bit for bit",
                "; ".join(changed),
            )
        return plan

    def _train(
        self, plan: Plan, data: ImageData, checkpoint: Checkpoint | None, interruption: Interruption
    ) -> TrainResult:
        model, forward = make_model(plan)
        train_batches = make_train_batches(plan, data, self.settings.loading)
        val_batches = make_val_batches(plan, data, self.settings.loading)
        augment = make_augmentation(plan)
        if plan.total_steps == 0:
            plan = fit_into_time(
                self.settings, plan, model, forward, train_batches, val_batches, augment, self.begun
            )
        if checkpoint is None:
            self._write_down(plan, data)
        loop = Loop(
            trainee=make_step(plan, model, forward),
            plan=plan,
            train=train_batches,
            val=val_batches,
            augment=augment,
            folder=self.folder.path,
            saving=self.settings.saving,
            interruption=interruption,
            begun=self.begun,
        )
        if checkpoint is not None:
            loop.restore(checkpoint)
        loop.run(metrics_bytes=0 if checkpoint is None else checkpoint.state["metrics_bytes"])
        return self._finish(loop)

    def _write_down(self, plan: Plan, data: ImageData) -> None:
        """Everything decided, to the folder and to the reader."""
        folder, counted = self.folder, cost(plan.config)
        folder.write_json("classes.json", list(data.classes))
        folder.write_json("env.json", describe_environment(plan.device))
        folder.write_json("data.json", describe_data(data, plan))
        write_text(folder.path / "config.yaml", resolved_yaml(self.settings, plan))
        for line in decisions(plan, counted):
            logger.info("%s", line)
        logger.info("run folder %s", folder.path)

    def _finish(self, loop: Loop) -> TrainResult:
        """Deliver the best weights, draw, and tell."""
        from vitreous.training.curves import draw_curves  # matplotlib: only where a run gets this far

        plan, folder = loop.plan, self.folder
        assert loop.best is not None
        model = build(plan.config)
        model.load_state_dict(loop.best_weights)
        model.to(plan.device)
        # once more in float32, as `evaluate` measures: these are the numbers that travel with the model
        measured = validate(model, loop.val.all(), plan.preprocessing, precision="float32")
        counted = cost(plan.config)
        metrics = {
            **{f"val/{name}": value for name, value in measured.items()},
            "train/loss": loop.latest["train/loss"],
            "best/epoch": loop.best["epoch"],
            "model/params": float(counted.parameters),
            "model/macs": float(counted.macs),
        }
        model_dir = folder.path / "model"
        save_model(
            model_dir,
            model,
            classes=plan.classes,
            preprocessing=plan.preprocessing,
            metrics=metrics,
            provenance=provenance(self.settings, plan, loop.best),
        )
        picture = draw_curves(
            folder.path, f"{plan.config.name}: {100 * measured['top1']:.2f} % on validation images"
        )
        wall_s = loop.wall_before + time.perf_counter() - self.begun
        logger.info("%s", best_last_table(loop.best, loop.latest, plan, wall_s))
        logger.info("model    %s", model_dir)
        logger.info("metrics  %s and metrics.csv", folder.path / "metrics.jsonl")
        logger.info("pictures %s", picture)
        folder.end("finished", exit_code=0, best=loop.best, metrics=metrics, wall_s=round(wall_s, 1))
        return TrainResult(folder.path, metrics, model_dir)


def _check_settings(settings: TrainSettings) -> None:
    """What can be wrong without looking at data or machine."""
    if not settings.data:
        raise ConfigError(
            "no data given; a folder of class folders, parquet files, torch/<name> or digits works"
        )
    if settings.time is not None:
        parse_time(settings.time)
        if settings.epochs != "auto":
            raise ConfigError(
                f"epochs {settings.epochs} and time {settings.time} both set the length; give one of them"
            )
    if settings.seed < 0:
        raise ConfigError(f"seed {settings.seed} is negative; 0 or more work")
    if settings.eval_every < 1:
        raise ConfigError(f"eval_every {settings.eval_every}: 1 or more epochs work")
    if settings.saving.keep < 1:
        raise ConfigError(f"saving.keep {settings.saving.keep}: at least 1 checkpoint must stay")
    recipe = settings.recipe
    shares = ("warmup", "final_lr", "label_smoothing")
    for name in shares:
        if not 0 <= getattr(recipe, name) <= 1:
            raise ConfigError(f"recipe.{name} {getattr(recipe, name)} is not a share; 0 to 1 works")
    if recipe.ema_decay != "auto" and not 0 <= recipe.ema_decay <= 1:
        raise ConfigError(f"recipe.ema_decay {recipe.ema_decay} is not a decay; 0 to 1 works")
    for name in ("weight_decay", "clip_norm"):
        if getattr(recipe, name) < 0:
            raise ConfigError(f"recipe.{name} {getattr(recipe, name)} is negative; 0 or more work")


def _section(kind: Any, given: Any, name: str) -> Any:
    """A section as its dataclass, from one or from a mapping of some of its fields."""
    if given is None:
        return kind()
    if isinstance(given, kind):
        return given
    known = [field.name for field in dataclasses.fields(kind)]
    for key in given:
        if key not in known:
            raise ConfigError(f"{name}.{key} is not a setting{did_you_mean(key, known)}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return kind(**values)
