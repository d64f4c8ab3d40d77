"""`vitreous.train`: arguments to settings, settings to a run folder, and how a run ended, noted in it.

Typing the same command again continues from the newest whole checkpoint, with what was decided then.
"""

import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vitreous.configuration.arguments import filled_from_config
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError, LostProcessError, StoppedError, VitreousError
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.training.arguments import settings_from
from vitreous.training.check_settings import check_settings
from vitreous.training.launch import train_in_processes
from vitreous.training.loop import FULL
from vitreous.training.metrics_log import read_events
from vitreous.training.processes import this_process
from vitreous.training.recipe import Recipe
from vitreous.training.run import Run, TrainResult
from vitreous.training.run_folder import RunFolder, enter_run_folder
from vitreous.training.settings import Distilling, Guidance, Probing, Saving, Stopping, TrainSettings
from vitreous.training.surroundings import audible, written_to
from vitreous.training.tensorboard import EventFile
from vitreous.training.world import World, joined, lost_processes_named

logger = logging.getLogger("vitreous")
Section = Mapping[str, Any]


@filled_from_config("train", TrainSettings)
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
    precision: Literal["auto", "float32", "bfloat16", "float16", "float64"] = TrainSettings.precision,
    device: str = TrainSettings.device,
    devices: int = TrainSettings.devices,
    sharding: Literal["ddp", "fsdp"] = TrainSettings.sharding,
    timeout_s: float = TrainSettings.timeout_s,
    image_size: int | str | tuple[int, int] = TrainSettings.image_size,
    compile: bool | Literal["auto"] = TrainSettings.compile,
    deterministic: bool = TrainSettings.deterministic,
    eval_every: int = TrainSettings.eval_every,
    fresh: bool = TrainSettings.fresh,
    pretrained: str | os.PathLike[str] | None = TrainSettings.pretrained,
    pretrained_by: Literal["loading", "selection"] = TrainSettings.pretrained_by,
    probes: str | None = TrainSettings.probes,
    reference: str | os.PathLike[str] | None = TrainSettings.reference,
    log: Literal["tensorboard"] | None = TrainSettings.log,
    recipe: Recipe | Section | None = None,
    loading: Loading | Section | None = None,
    saving: Saving | Section | None = None,
    stopping: Stopping | Section | None = None,
    distilling: Distilling | Section | None = None,
    guidance: Guidance | Section | None = None,
    probing: Probing | Section | None = None,
    config: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    settings: TrainSettings | None = None,
) -> TrainResult:
    """Train a model on images, or continue a run with the same settings.

    Args:
        data: folder of class folders or a tar of them, parquet files or a glob of them, WebDataset shards as
            `wds:PATTERN`, a Hugging Face data set as `hf:NAME`, `torch/<name>` of torchvision, or `digits`;
            several files or patterns may be given.
        model: catalog name, a model's `config.json`, a config value, or `auto`.
        out: run folder; None for a new one under `runs/`, or the newest unfinished one with equal settings.
        epochs: passes over the training images.
        time: instead of epochs: training time that the whole schedule is fitted into, such as `10m`.
        batch_size: images per optimizer step.
        lr: peak learning rate.
        seed: start of every random stream.
        precision: 16-bit types are automatic mixed precision over float32 weights; `float64` is for proofs.
        device: `cpu`, `cuda`, `cuda:1`, `mps` or `auto`.
        devices: processes to start on this machine.
        sharding: `ddp` keeps the model whole in each process, `fsdp` gives each a part.
        timeout_s: how long a step waits for another process.
        image_size: pixels: a number, `ROWSxCOLUMNS`, or (rows, columns).
        compile: run the model through torch.compile.
        deterministic: refuse operations whose result may differ between runs on a GPU.
        eval_every: epochs between validations.
        fresh: move an existing run folder aside instead of continuing it.
        pretrained: weights to start from: run or model folder, checkpoint file, or `timm:NAME`.
        pretrained_by: `selection` cuts a larger model to size.
        probes: what is measured inside the model after validations: `hfd`, `head_diversity`,
            `token_similarity`, `entropy`, separated by commas.
        reference: known curve that every validation is compared with: a name such as `eit_mini_imagenet`,
            or a file of `vitreous runs reference`.
        log: `tensorboard` also writes the metrics in its format, into the run folder.
        recipe: optimizer, schedule, augmentation; a `Recipe` or its fields that differ from the default.
        loading: how images are read; a `Loading` or its fields.
        saving: when checkpoints are written; a `Saving` or its fields.
        stopping: which validation is the best, and when to stop; a `Stopping` or its fields.
        guidance: a small convolutional network whose features are followed; a `Guidance` or its fields.
        distilling: a teacher and what is learned from it; a `Distilling` or its fields.
        probing: how often and on how many images; a `Probing` or its fields.
        config: recipes and YAML files for what is left out here, later ones over earlier ones; environment
            variables stand over them.
        settings: all of the above as one value, instead of them.

    Raises:
        ConfigError: settings that cannot be used, or a folder that holds something else.
        ResumeMismatch: `out` holds a run with other settings.
        DataError: images that cannot be used.
        DivergedError: a loss or gradient that is not finite.
        StoppedError: told to stop; a checkpoint was written.
        LostProcessError: one of several processes is gone; the newest checkpoint is kept.
    """
    return train_run(settings_from(locals()))


def train_run(settings: TrainSettings) -> TrainResult:
    """`train` for settings as one value: here, in the processes of a launcher, or in new ones."""
    begun = time.perf_counter()
    check_settings(settings)
    process = this_process()
    if settings.devices > 1 and process.size == 1:
        return train_in_processes(settings)
    with audible(process), joined(device=settings.device, timeout_s=settings.timeout_s) as world:
        folder = enter_run_folder(settings, world)
        with contextlib.closing(folder), written_to(folder.path, process):
            result = _run(folder, settings, world, begun)
            world.wait()  # for the model folder
            return result


def _run(folder: RunFolder, settings: TrainSettings, world: World, begun: float) -> TrainResult:
    if folder.finished:
        logger.info("%s is finished already; --fresh trains again and keeps this run aside", folder.path)
        if settings.log == "tensorboard" and world.first:
            EventFile(folder.path, read_events(folder.path / "metrics.jsonl")).close()
        return TrainResult(folder.path, dict(folder.state["metrics"]), folder.path / "model")
    try:
        folder.start()
        with lost_processes_named():
            return Run(folder, settings, begun, world).go()
    except BaseException as error:
        return _failed(folder, error)


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
        stopped = isinstance(error, StoppedError | LostProcessError | KeyboardInterrupt)
        message = str(error) or type(error).__name__
        folder.end("interrupted" if stopped else "failed", exit_code=code, message=message)
    raise error
