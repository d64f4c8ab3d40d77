"""`vitreous.train`: from a data argument to a model folder, in an order that fails early.

    run folder → data and scan → every `auto` resolved → model built and checked → first checkpoint → loop →
    model

Nothing is trained before everything that can be wrong has been looked at, and everything decided is in the
first checkpoint. Typing the same command again continues from the newest whole checkpoint, with what was
decided then.
"""

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from vitreous.analysis.cost import Cost, cost
from vitreous.data.augment import Augmentation
from vitreous.data.batches import Batches, choose_path, make_batches
from vitreous.data.images import ImageData, open_images
from vitreous.data.loading import Loading
from vitreous.data.statistics import fit_preprocessing, training_storage
from vitreous.data.streams import stream_seed
from vitreous.errors import ConfigError, DataError, ResumeMismatch, StoppedError, VitreousError
from vitreous.interop.model_folder import save_model
from vitreous.models.as_json import to_json
from vitreous.models.vision_transformer import VisionTransformer, build
from vitreous.redaction import redact
from vitreous.training import automatic
from vitreous.training.checkpoint import Checkpoint, load_newest, remove_unfinished
from vitreous.training.command import as_command
from vitreous.training.environment import describe_environment
from vitreous.training.interruption import Interruption
from vitreous.training.loop import FULL, Loop
from vitreous.training.machine import look_at_machine
from vitreous.training.outcome import best_last_table
from vitreous.training.plan import Plan
from vitreous.training.recipe import Recipe
from vitreous.training.resolved_config import resolved_yaml
from vitreous.training.run_folder import RunFolder, open_run_folder, write_text
from vitreous.training.settings import Saving, TrainSettings
from vitreous.training.step import TrainStep
from vitreous.training.time_budget import fit_steps, measure_step, parse_time
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
    model: str | os.PathLike[str] | VisionTransformer = "auto",
    out: str | os.PathLike[str] | None = None,
    *,
    epochs: int | Literal["auto"] = "auto",
    time: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    lr: float | Literal["auto"] = "auto",
    seed: int = 0,
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    device: str = "auto",
    image_size: int | str | tuple[int, int] = "auto",
    compile: bool | Literal["auto"] = "auto",
    deterministic: bool = False,
    eval_every: int = 1,
    fresh: bool = False,
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
    with _audible(), contextlib.closing(open_run_folder(settings)) as folder, _written_to(folder.path):
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
            plan = self._decide(data) if checkpoint is None else self._recall(checkpoint, data)
            with (
                _torch_set_up(plan),
                torch.random.fork_rng(_gpus(plan.device), device_type=_kind(plan.device)),
            ):
                return self._train(plan, data, checkpoint, interruption)

    def _decide(self, data: ImageData) -> Plan:
        """The plan of a new run; with `time` its length is still to be measured."""
        settings, reasons = self.settings, automatic.Reasons()
        machine = look_at_machine()
        images = len(data.splits["train"])
        device = automatic.choose_device(settings, machine, reasons)
        config = automatic.choose_model(settings, data, device, reasons)
        counted = cost(config)  # also builds it once without values: sizes that do not fit fail here
        warning = automatic.token_warning(config)
        if warning:
            logger.warning("%s", warning)
        precision = automatic.choose_precision(settings, device, machine, reasons)
        batch_size, warning = automatic.choose_batch_size(settings, images, config, device, reasons)
        if warning:
            logger.warning("%s", warning)
        lr = automatic.choose_lr(settings, batch_size, reasons)
        recipe = automatic.choose_recipe(settings.recipe, config, data, reasons)
        steps_per_epoch = images // batch_size
        if settings.time is None:
            epochs = automatic.choose_epochs(settings, images, device, reasons)
            total_steps = epochs * steps_per_epoch
            recipe = automatic.choose_ema_decay(recipe, total_steps, reasons)
        else:
            epochs, total_steps = 0, 0
        seconds = automatic.estimated_seconds(settings, counted.macs, epochs * images, device, machine)
        compiled = automatic.choose_compile(settings, device, precision, seconds, machine, reasons)
        preprocessing, reasons.sentences["preprocessing"] = fit_preprocessing(
            data.splits["train"],
            channels=config.image.channels,
            height=config.image.height,
            width=config.image.width,
            crop=recipe.crop,
            loading=settings.loading,
        )
        path, reasons.sentences["loading.path"] = choose_path(
            len(data.splits["train"].pool), training_storage(preprocessing, recipe.crop), settings.loading
        )
        return Plan(
            config=config,
            preprocessing=preprocessing,
            recipe=recipe,
            device=device,
            precision=precision,
            compiled=compiled,
            threads=torch.get_num_threads(),
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
        )

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
        self._compare_environments(plan)
        return plan

    def _compare_environments(self, plan: Plan) -> None:
        try:
            before = json.loads((self.folder.path / "env.json").read_text())
        except (OSError, ValueError):
            return
        now = describe_environment(plan.device)
        changed = [
            f"{name} {before.get('packages', {}).get(name)} → {version}"
            for name, version in now["packages"].items()
            if before.get("packages", {}).get(name) != version
        ]
        changed += [
            f"{key} {before.get(key)} → {now.get(key)}"
            for key in ("processor", "gpu")
            if before.get(key) != now.get(key)
        ]
        if changed:
            logger.warning(
                "this run was started elsewhere (%s); it goes on, but no longer bit for bit",
                "; ".join(changed),
            )

    def _train(
        self, plan: Plan, data: ImageData, checkpoint: Checkpoint | None, interruption: Interruption
    ) -> TrainResult:
        torch.manual_seed(stream_seed(plan.seed, "init"))
        rates = plan.recipe
        model = build(
            plan.config,
            dropout=rates.dropout,
            attention_dropout=rates.attention_dropout,
            drop_path=rates.drop_path,
        ).to(plan.device)
        forward = torch.compile(model, dynamic=False) if plan.compiled else model
        train_batches, val_batches = self._batches(plan, data)
        augment = make_augmentation(plan)
        if plan.total_steps == 0:
            plan = self._fit_into_time(plan, model, forward, train_batches, val_batches, augment)
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

    def _batches(self, plan: Plan, data: ImageData) -> tuple[Batches, Batches]:
        loading = dataclasses.replace(self.settings.loading, path=plan.loading_path)  # type: ignore[arg-type]
        device = torch.device(plan.device)
        train_batches = make_batches(
            data.splits["train"],
            plan.preprocessing,
            batch_size=plan.batch_size,
            seed=plan.seed,
            device=device,
            loading=loading,
            train=True,
            storage=training_storage(plan.preprocessing, plan.recipe.crop),
        )
        val_batches = make_batches(
            data.splits["val"],
            plan.preprocessing,
            batch_size=min(max(plan.batch_size, 128), len(data.splits["val"])),
            seed=plan.seed,
            device=device,
            loading=loading,
            train=False,
        )
        return train_batches, val_batches

    def _fit_into_time(
        self,
        plan: Plan,
        model: nn.Module,
        forward: Any,
        train_batches: Batches,
        val_batches: Batches,
        augment: Augmentation,
    ) -> Plan:
        """The plan with the number of steps that fit into `time`."""
        assert self.settings.time is not None
        budget_s = parse_time(self.settings.time)
        long = dataclasses.replace(
            plan,
            total_steps=1_000_000,
            recipe=dataclasses.replace(plan.recipe, ema_decay=0.5 if plan.recipe.ema else "auto"),
        )
        throwaway = make_step(long, model, forward)

        def take_step(images: torch.Tensor, labels: torch.Tensor, step: int) -> None:
            throwaway.backward(*augment(images, labels, step), step)
            throwaway.update()

        step_s = measure_step(model, take_step, train_batches.from_step(0), most_s=0.03 * budget_s)
        validation_s = self._measure_validation(plan, model, val_batches)
        total_steps = fit_steps(
            budget_s,
            spent_s=time.perf_counter() - self.begun,
            step_s=step_s,
            validation_s=validation_s,
            eval_steps=plan.eval_steps,
        )
        reasons = automatic.Reasons(dict(plan.reasons))
        reasons.sentences["epochs"] = (
            f"{total_steps:,} steps fit into {self.settings.time}: a step takes {1e3 * step_s:.0f} ms, "
            f"a validation {validation_s:.1f} s, {time.perf_counter() - self.begun:.0f} s went into preparation"
        )
        recipe = automatic.choose_ema_decay(plan.recipe, total_steps, reasons)
        if total_steps < plan.steps_per_epoch:
            logger.warning(
                "%s is only %.2f passes over the training images; give more --time or a smaller --model",
                self.settings.time, total_steps / plan.steps_per_epoch,
            )  # fmt: skip
        return dataclasses.replace(plan, total_steps=total_steps, recipe=recipe, reasons=reasons.sentences)

    def _measure_validation(self, plan: Plan, model: nn.Module, batches: Batches) -> float:
        """About how long one validation takes, of the weights and their average."""
        count = min(3, batches.steps_per_epoch)
        for most in (1, count):  # the first pass warms up
            start = time.perf_counter()
            validate(
                model, itertools.islice(batches.all(), most), plan.preprocessing, precision=plan.precision
            )
        seconds = (time.perf_counter() - start) / count * batches.steps_per_epoch
        return seconds * (2 if plan.recipe.ema else 1)

    def _write_down(self, plan: Plan, data: ImageData) -> None:
        """Everything decided, to the folder and to the reader."""
        folder, counted = self.folder, cost(plan.config)
        folder.write_json("classes.json", list(data.classes))
        folder.write_json("env.json", describe_environment(plan.device))
        folder.write_json("data.json", _describe_data(data, plan))
        write_text(folder.path / "config.yaml", resolved_yaml(self.settings, plan))
        for line in _decisions(plan, counted):
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
            provenance=_provenance(self.settings, plan, loop.best),
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


def make_step(plan: Plan, model: nn.Module, forward: Any = None) -> TrainStep:
    """The optimizer step that a plan describes, over a built model on its device."""
    return TrainStep(
        model,
        plan.recipe,
        lr=plan.lr,
        total_steps=plan.total_steps,
        seed=plan.seed,
        precision=plan.precision,
        ema_decay=float(plan.recipe.ema_decay) if plan.recipe.ema else None,
        forward=forward,
    )


def make_augmentation(plan: Plan) -> Augmentation:
    """The augmentation that a plan describes."""
    recipe, image = plan.recipe, plan.config.image
    return Augmentation(
        seed=plan.seed,
        size=(image.height, image.width),
        classes=len(plan.classes),
        preprocessing=plan.preprocessing,
        crop=recipe.crop,
        padding=int(recipe.padding),
        smallest_crop=recipe.smallest_crop,
        flip=bool(recipe.flip),
        randaugment=recipe.randaugment,
        randaugment_magnitude=recipe.randaugment_magnitude,
        erasing=recipe.erasing,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        mix_probability=recipe.mix_probability,
    )


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
    from vitreous.errors import did_you_mean

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


def _decisions(plan: Plan, counted: Cost) -> Iterator[str]:
    """One line for each resolved value with its reason."""
    image, why = plan.config.image, plan.reasons
    recipe = plan.recipe
    rows = [
        (
            "model",
            f"{plan.config.name}, {counted.parameters:,} parameters, {counted.macs / 1e6:,.1f} MMACs",
        ),
        ("image_size", f"{image.height}×{image.width}, {image.channels} channel{'s' * (image.channels > 1)}"),
        ("device", f"{plan.device}, {plan.threads} threads" if plan.device == "cpu" else plan.device),
        ("precision", plan.precision),
        ("compile", "on" if plan.compiled else "off"),
        ("loading.path", plan.loading_path),
        ("batch_size", f"{plan.batch_size}, {plan.steps_per_epoch} steps an epoch"),
        ("epochs", f"{plan.epochs:.4g}, {plan.total_steps:,} steps"),
        ("lr", f"{plan.lr:.2g}"),
        ("recipe.crop", f"{recipe.crop}" + (f", {recipe.padding} px" if recipe.crop == "pad" else "")),
        ("recipe.flip", "on" if recipe.flip else "off"),
        *([("recipe.ema_decay", str(recipe.ema_decay))] if recipe.ema else []),
    ]
    for name, value in rows:
        yield f"{name:<16} {value}" + (f"  ({why[name]})" if name in why else "")
    yield f"{'seed':<16} {plan.seed}"


def _describe_data(data: ImageData, plan: Plan) -> dict[str, Any]:
    counts = {
        name: dict(
            zip(
                data.classes,
                torch.bincount(torch.from_numpy(split.labels), minlength=len(data.classes)).tolist(),
                strict=True,
            )
        )
        for name, split in data.splits.items()
    }
    return {
        **dataclasses.asdict(data.scan),
        "per_class": counts,
        "mean": plan.preprocessing.mean,
        "std": plan.preprocessing.std,
        "fingerprint": data.fingerprint,
    }


def _provenance(settings: TrainSettings, plan: Plan, best: dict[str, Any]) -> dict[str, Any]:
    return {
        "command": redact(as_command(dataclasses.replace(settings, out=None, fresh=False))),
        "data": redact(", ".join(Path(each).name for each in settings.data)),
        "data fingerprint": plan.fingerprint,
        "seed": plan.seed,
        "weights": f"{best['weights']}, epoch {best['epoch']:.4g} of {plan.epochs:.4g}, best validation top-1",
        "settings": {
            "batch_size": plan.batch_size,
            "lr": plan.lr,
            "precision": plan.precision,
            "steps": plan.total_steps,
            **{f"recipe.{key}": value for key, value in dataclasses.asdict(plan.recipe).items()},
        },
    }


@contextlib.contextmanager
def _torch_set_up(plan: Plan) -> Iterator[None]:
    """Threads and determinism of a plan; the caller's afterwards."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    if plan.threads != threads:
        logger.info(
            "using %d threads, as this run was started with (here %d would be usual)", plan.threads, threads
        )
        torch.set_num_threads(plan.threads)
    if plan.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


@contextlib.contextmanager
def _audible() -> Iterator[None]:
    """Progress on stderr where nobody has set up logging: what was chosen must be said."""
    if logger.hasHandlers():
        yield
        return
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextlib.contextmanager
def _written_to(folder: Path) -> Iterator[None]:
    """Everything said, also to `train.log`, without secrets."""
    handler = logging.FileHandler(folder / "train.log", encoding="utf-8", delay=True)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _kind(device: str) -> str:
    return "cuda" if device == "cpu" else device.partition(":")[0]


def _gpus(device: str) -> list[int]:
    """GPUs whose random state is put back afterwards."""
    if device == "cpu":
        return []
    return [int(device.partition(":")[2] or 0)]
