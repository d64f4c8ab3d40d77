"""The guide of a run: a small convolutional network, trained first on the run's own training images.

It goes through the same loop, in the folder `guidance/` of the run with checkpoints of its own, so that a run
that is stopped in it continues in it, bit for bit. Its weights of the best validation stay there
(`guidance/model.safetensors`, `guidance/guide.json`), and another run with the same data may name this one as
its guide's source instead of training one.

Recipe (Li et al., ECCV 2022, released code, and He et al. 2016): SGD with Nesterov's momentum 0.9, rate 0.1
at 128 images, decay 5e-4, cosine, shift or crop and flip, nothing mixed. Ours: a warm-up, a third of the
run's epochs or a fifth of its time; images of more than 64 pixels are seen at 32.
"""

import dataclasses
import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from vitreous.data.images import ImageData
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.streams import stream_seed
from vitreous.errors import ConfigError
from vitreous.parts import ImageShape
from vitreous.training.assemble import make_augmentation, make_train_batches, make_val_batches
from vitreous.training.checkpoint import load_newest, remove_unfinished
from vitreous.training.decide import fit_into_time
from vitreous.training.guidance import Guide, GuidedObjective
from vitreous.training.interruption import Interruption
from vitreous.training.loop import Loop
from vitreous.training.objective import Objective
from vitreous.training.plan import Plan
from vitreous.training.recipe import Recipe
from vitreous.training.run_folder import write_text
from vitreous.training.settings import Distilling, Guidance, TrainSettings
from vitreous.training.small_resnet import SmallResNet
from vitreous.training.step import TrainStep
from vitreous.training.time_budget import parse_time

FOLDER, WEIGHTS, FACTS = "guidance", "model.safetensors", "guide.json"
LARGE, SMALL = 64, 32  # pixels
SHARE_OF_TIME = 0.2
logger = logging.getLogger("vitreous")


def find_guide(
    plan: Plan, settings: TrainSettings, data: ImageData, run: Path, interruption: Interruption, begun: float
) -> tuple[Guide | None, float]:
    """The guide of a plan, trained now where it is not there yet, and the seconds that earlier starts took.

    Args:
        plan: of the run.
        settings: of the run.
        data: of the run.
        run: its folder.
        interruption: tells of signals.
        begun: `time.perf_counter()` when the run began.

    Raises:
        ConfigError: a run that holds no guide, or one for other images or classes.
        StoppedError: told to stop in the guide's training; a checkpoint was written.
    """
    source = plan.guidance.teacher
    if source is None:
        return None, 0.0
    folder = run / FOLDER
    if source != "cnn":
        return read_guide(plan, run), 0.0
    if (folder / FACTS).exists():
        before = float(json.loads((folder / FACTS).read_text(encoding="utf-8"))["wall_s"])
    else:
        before = _train(plan, settings, data, folder, interruption, begun)
    return read_guide(plan, run), before


def guided(plan: Plan, objective: Objective, guide: Guide) -> GuidedObjective:
    """An objective with a guide beside it, on the device of a plan."""
    given, shapes = plan.guidance, plan.config.shapes()
    assert given.layers != "auto"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(plan.seed, "guide", 1))
        widths = tuple(shapes[number + 1].width for number in given.layers)
        made = GuidedObjective(objective, guide, widths=widths, weight=given.weight)
    return made.to(plan.device)


def read_guide(plan: Plan, run: Path) -> Guide:
    """The trained guide of a plan.

    Args:
        plan: of the run.
        run: its folder.

    Raises:
        ConfigError: there is none, or one for other images or classes.
    """
    source = plan.guidance.teacher
    folder = (run if source in (None, "cnn") else Path(source)) / FOLDER
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"guidance.teacher: {folder} holds no guide ({error}); cnn trains one, and a run folder with a "
            "trained guide gives its own"
        ) from None
    own = Preprocessing.from_json(facts["preprocessing"])
    if tuple(facts["classes"]) != plan.classes:
        raise ConfigError(
            f"guidance.teacher: the guide in {folder} was trained on other classes "
            f"({len(facts['classes'])}, and the data have {len(plan.classes)}); cnn trains one on these"
        )
    if facts["data fingerprint"] != plan.fingerprint:
        raise ConfigError(
            f"guidance.teacher: the guide in {folder} was trained on other images, or on these with another "
            "validation split, whose images it may know; cnn trains one on these"
        )
    model = SmallResNet(channels=own.channels, classes=len(plan.classes), depth=facts["depth"])
    model.load_state_dict(weights)
    return Guide(model, own, plan.preprocessing, precision=plan.precision).to(plan.device)


def _train(
    plan: Plan,
    settings: TrainSettings,
    data: ImageData,
    folder: Path,
    interruption: Interruption,
    begun: float,
) -> float:
    """Train the guide in its folder, or go on with it; the seconds that earlier starts took."""
    folder.mkdir(exist_ok=True)
    remove_unfinished(folder / "checkpoints")
    checkpoint = load_newest(folder / "checkpoints")
    own = plan_of_guide(plan) if checkpoint is None else Plan.from_json(checkpoint.state["plan"])
    model = _fresh(plan)
    train, val = (make(own, data, settings.loading) for make in (make_train_batches, make_val_batches))
    augment, objective = make_augmentation(own), Objective().to(plan.device)
    if own.total_steps == 0:
        assert settings.time is not None
        seconds = SHARE_OF_TIME * parse_time(settings.time)
        short = dataclasses.replace(settings, time=f"{seconds:.1f}s")
        own = fit_into_time(short, own, model, model, train, val, augment, objective, time.perf_counter())
    logger.info(
        "the guide, ResNet-%d at %d×%d pixels, is trained first: %d steps",
        plan.guidance.depth, own.preprocessing.height, own.preprocessing.width, own.total_steps,
    )  # fmt: skip
    loop = Loop(
        trainee=TrainStep(
            model,
            own.recipe,
            lr=own.lr,
            total_steps=own.total_steps,
            steps_per_epoch=own.steps_per_epoch,
            seed=own.seed,
            precision=own.precision,
            objective=objective,
        ),
        plan=own,
        train=train,
        val=val,
        augment=augment,
        folder=folder,
        saving=settings.saving,
        interruption=interruption,
        begun=begun,
    )
    if checkpoint is not None:
        loop.restore(checkpoint)
    loop.run(metrics_bytes=0 if checkpoint is None else checkpoint.state["metrics_bytes"])
    assert loop.best is not None
    wall_s = loop.wall_before + time.perf_counter() - begun
    _write(folder, loop, plan.guidance, wall_s)
    logger.info("the guide knows %.2f %% of the validation images", 100 * loop.best["top1"])
    return loop.wall_before


def untrained_guide(plan: Plan) -> Guide:
    """A guide that knows nothing yet, for measuring what a step costs."""
    return Guide(
        _fresh(plan), plan_of_guide(plan).preprocessing, plan.preprocessing, precision=plan.precision
    )


def _fresh(plan: Plan) -> SmallResNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(plan.seed, "guide"))
        model = SmallResNet(
            channels=plan.preprocessing.channels, classes=len(plan.classes), depth=plan.guidance.depth
        )
    return model.to(plan.device)


def plan_of_guide(plan: Plan) -> Plan:
    """What the guide's training does, from what the run does."""
    prepared, recipe = plan.preprocessing, plan.recipe
    if max(prepared.height, prepared.width) > LARGE:
        prepared = dataclasses.replace(prepared, height=SMALL, width=SMALL)
    largest = max(prepared.height, prepared.width)
    epochs = plan.guidance.epochs
    steps = 0 if epochs == "auto" else epochs * plan.steps_per_epoch
    image = ImageShape(prepared.channels, prepared.height, prepared.width)
    return dataclasses.replace(
        plan,
        config=dataclasses.replace(plan.config, image=image),  # for the size of images alone
        preprocessing=prepared,
        recipe=Recipe(
            optimizer="sgd",
            weight_decay=5e-4,
            schedule="cosine",
            warmup=0.05,
            final_lr=0.0,
            clip_norm=0.0,
            label_smoothing=0.0,
            mixup=0.0,
            cutmix=0.0,
            balance=recipe.balance if recipe.balance == "sampler" else "none",
            crop=recipe.crop,
            padding=max(1, largest // 8),
            smallest_crop=recipe.smallest_crop,
            flip=recipe.flip,
            randaugment=0,
            erasing=0.0,
            drop_path=0.0,
            ema=False,
        ),
        lr=0.1 * plan.batch_size / 128,
        precision="float32" if plan.precision == "float64" else plan.precision,
        compiled=False,
        total_steps=steps,
        eval_steps=max(plan.steps_per_epoch, steps // 10),
        distilling=Distilling(),
        guidance=Guidance(),
    )


def _write(folder: Path, loop: Loop, guidance: Guidance, wall_s: float) -> None:
    """The guide's weights, then the facts that say they are whole; its checkpoints go."""
    plan = loop.plan
    temporary = folder / f".{WEIGHTS}.writing"
    save_file(loop.best_weights, temporary)
    temporary.replace(folder / WEIGHTS)
    facts: dict[str, Any] = {
        "depth": guidance.depth,
        "classes": list(plan.classes),
        "preprocessing": plan.preprocessing.to_json(),
        "data fingerprint": plan.fingerprint,
        "best": loop.best,
        "wall_s": round(wall_s, 1),
    }
    write_text(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(folder / "checkpoints")
