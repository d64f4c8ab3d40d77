"""What can be wrong with settings without looking at data or machine: said before anything is opened."""

from vitreous.errors import ConfigError
from vitreous.training.on_track import load_curve
from vitreous.training.optimizer_names import check_optimizer
from vitreous.training.settings import TrainSettings
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
    if settings.reference is not None:
        load_curve(settings.reference)
    recipe = settings.recipe
    check_optimizer(recipe)
    if settings.loading.order == "shards" and recipe.balance == "sampler":
        raise ConfigError(
            "loading.order shards and recipe.balance sampler are two orders; full or weights works"
        )
    shares = ("warmup", "final_lr", "label_smoothing")
    for name in shares:
        if not 0 <= getattr(recipe, name) <= 1:
            raise ConfigError(f"recipe.{name} {getattr(recipe, name)} is not a share; 0 to 1 works")
    if recipe.ema_decay != "auto" and not 0 <= recipe.ema_decay <= 1:
        raise ConfigError(f"recipe.ema_decay {recipe.ema_decay} is not a decay; 0 to 1 works")
    negative = ("weight_decay", "clip_norm", "warmup_epochs", "warmup_lr", "min_lr", "cooldown_epochs")
    for name in (*negative, "lr_per_512", "mix_epochs"):
        if (getattr(recipe, name) or 0) < 0:
            raise ConfigError(f"recipe.{name} {getattr(recipe, name)} is negative; 0 or more work")
