"""What can be wrong with settings without looking at data or machine: said before anything is opened."""

import dataclasses

from vitreous.configuration.fields import choices, flat, settings_types
from vitreous.configuration.typed import wrong
from vitreous.errors import ConfigError
from vitreous.training.on_track import load_curve
from vitreous.training.optimizer_names import check_optimizer
from vitreous.training.probes import check_probes
from vitreous.training.recipe import Recipe
from vitreous.training.settings import Distilling, Guidance, TrainSettings
from vitreous.training.stopping import check_stopping
from vitreous.training.tensorboard import check_tensorboard
from vitreous.training.time_budget import parse_time


def check_settings(settings: TrainSettings) -> None:
    """Look at every value that has a range.

    Raises:
        ConfigError: the first that cannot be used.
    """
    if not settings.data:
        raise ConfigError(
            "no data given; a folder of class folders, parquet files, torch/<name> or digits works"
        )
    _check_words(settings)
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
    if not settings.saving.every_s >= 0:
        raise ConfigError(f"saving.every_s {settings.saving.every_s}: 0 or more seconds work")
    if settings.loading.workers != "auto" and settings.loading.workers < 0:
        raise ConfigError(f"loading.workers {settings.loading.workers}: 0 or more processes work")
    if settings.devices < 1:
        raise ConfigError(f"devices {settings.devices}: 1 or more processes work")
    if settings.timeout_s <= 0:
        raise ConfigError(f"timeout_s {settings.timeout_s}: more than 0 seconds work")
    if settings.reference is not None:
        load_curve(settings.reference)
    recipe = settings.recipe
    check_optimizer(recipe)
    check_stopping(settings.stopping)
    check_probes(settings)
    if settings.log == "tensorboard":
        check_tensorboard()
    if settings.loading.order == "shards" and recipe.balance == "sampler":
        raise ConfigError(
            "loading.order shards and recipe.balance sampler are two orders; full or weights works"
        )
    _check_alone(settings)
    _check_distilling(settings)
    _check_guidance(settings)
    shares = ("warmup", "final_lr", "label_smoothing")
    for name in shares:
        if not 0 <= getattr(recipe, name) <= 1:
            raise ConfigError(f"recipe.{name} {getattr(recipe, name)} is not a share; 0 to 1 works")
    if recipe.ema_decay != "auto" and not 0 <= recipe.ema_decay <= 1:
        raise ConfigError(f"recipe.ema_decay {recipe.ema_decay} is not a decay; 0 to 1 works")
    negative = ("weight_decay", "clip_norm", "warmup_epochs", "warmup_lr", "min_lr", "cooldown_epochs")
    for name in (*negative, "lr_per_512", "mix_epochs"):
        if not (getattr(recipe, name) or 0) >= 0:
            raise ConfigError(f"recipe.{name} {getattr(recipe, name)}: 0 or more work")


def _check_words(settings: TrainSettings) -> None:
    """A word in the place of a choice: Python lets any pass, and most would be a default without a word."""
    types = settings_types(TrainSettings)
    for name, value in flat(settings).items():
        if isinstance(value, str) and (words := choices(types[name])) and value not in words:
            raise ConfigError(f"{name} is {wrong(value, types[name])}")


def _check_alone(settings: TrainSettings) -> None:
    """Settings that mean something only beside another one."""
    recipe, stopping = settings.recipe, settings.stopping
    for name, given, needed in (
        ("pretrained_by", settings.pretrained is None and settings.pretrained_by != "loading", "pretrained"),
        (
            "recipe.progressive_share",
            recipe.progressive_size is None and recipe.progressive_share != Recipe.progressive_share,
            "recipe.progressive_size",
        ),
        ("saving.in_parts", settings.saving.in_parts and settings.sharding != "fsdp", "sharding fsdp"),
        ("stopping.least", stopping.patience is None and stopping.least != 0, "stopping.patience"),
    ):
        if given:
            raise ConfigError(f"{name} is given and no {needed}, without which it has no effect; give both")


def _check_teacher(section: str, given: Distilling | Guidance, works: str) -> None:
    """A section about a teacher says nothing without one."""
    for each in dataclasses.fields(given):
        if given.teacher is None and getattr(given, each.name) != each.default:
            raise ConfigError(f"{section}.{each.name} is given and no {section}.teacher; {works}")


def _check_distilling(settings: TrainSettings) -> None:
    distilling = settings.distilling
    _check_teacher("distilling", distilling, "a run folder, a model folder or timm:NAME works")
    if not distilling.temperature > 0:
        raise ConfigError(f"distilling.temperature is {distilling.temperature}; above 0 works")
    if distilling.kind == "hard" and distilling.temperature != 1:
        raise ConfigError(
            "distilling.temperature softens probabilities, and distilling.kind hard takes the likeliest "
            "class; leave one of them out"
        )
    if distilling.alpha != "auto" and not 0 < distilling.alpha <= 1:
        raise ConfigError(f"distilling.alpha is {distilling.alpha}; above 0 and up to 1 works")
    alone = distilling.alpha == 1 or (distilling.alpha == "auto" and distilling.kind == "soft")
    if distilling.teacher is not None and alone and settings.recipe.balance == "weights":
        raise ConfigError(
            "recipe.balance weights belong to the labels' loss, and the teacher's stands alone; "
            "distilling.alpha below 1 brings the labels in, recipe.balance sampler works without them"
        )


def _check_guidance(settings: TrainSettings) -> None:
    guidance, recipe = settings.guidance, settings.recipe
    _check_teacher("guidance", guidance, "cnn, or the folder of a run with a guide, works")
    if guidance.teacher is None:
        return
    if recipe.progressive_size is not None:
        raise ConfigError(
            "guidance.teacher and recipe.progressive_size do not go together: a guide's maps have one size"
        )
    if not guidance.weight > 0:
        raise ConfigError(f"guidance.weight is {guidance.weight}; above 0 works")
    if guidance.depth < 8 or (guidance.depth - 2) % 6:
        raise ConfigError(f"guidance.depth is {guidance.depth}; 8, 14, 20 and so on in steps of 6 work")
    if guidance.epochs != "auto" and guidance.epochs < 1:
        raise ConfigError(f"guidance.epochs is {guidance.epochs}; 1 or more work")
    if guidance.epochs != "auto" and settings.time is not None:
        raise ConfigError("guidance.epochs and time both set a length; with time the guide gets a fifth")
    if guidance.teacher != "cnn" and (guidance.depth, guidance.epochs) != (56, "auto"):
        raise ConfigError(
            "guidance.depth and guidance.epochs are for a guide that is trained, and "
            f"guidance.teacher {guidance.teacher} is trained already; leave them out"
        )
    if recipe.train == "head":
        raise ConfigError(
            "recipe.train head leaves all features as they are, and guidance is about features; "
            "one of them works"
        )
    if recipe.mixed_depth != "none":
        raise ConfigError("guidance and recipe.mixed_depth do not go together; one of them works")
