"""Settings that are each allowed and do not fit each other: said before the first batch.

Elsewhere such a run trains without a word, and its number is lower than it should be. Each sentence names the
value that would fit; none stops the run, for a trial of a minute may be meant. The thresholds are ours.
"""

from collections.abc import Iterator

from vitreous.errors import ConfigError
from vitreous.training.optimizer_names import peak_lr
from vitreous.training.plan import Plan
from vitreous.training.settings import TrainSettings
from vitreous.training.tally import headline_of

SMALL_PX = 64
SMALL_CROP = 0.25
"""Least share of the area below which a crop of a small image shows a few pixels, enlarged."""
ENLARGED = 3
TINY_PARAMETERS = 10_000_000
HIGH_DROP_PATH = 0.3
FAR_LR = 5.0
UNTRAINED = 0.05
"""Share of first weights in the average: e⁻³, where it looks back over a third of the run."""


def guard_plan(settings: TrainSettings, plan: Plan, *, parameters: int, image_side: int) -> list[str]:
    """Sentences to warn of, whatever the length of the run.

    Args:
        settings: as given.
        plan: of the run.
        parameters: of the model.
        image_side: shorter side of the median image as stored, in pixels.
    """
    return [
        *_learning_rate(settings, plan),
        *_image_size(settings, plan, image_side),
        *_regularisation(plan, parameters),
    ]


def guard_length(plan: Plan) -> list[str]:
    """Sentences to warn of, once the number of steps is known."""
    return [*_schedule(plan), *_average(plan)]


def _schedule(plan: Plan) -> Iterator[str]:
    """The warm-up must end before the run does."""
    recipe, total, epoch = plan.recipe, plan.total_steps, plan.steps_per_epoch
    given = recipe.warmup_epochs
    warmup = recipe.warmup * total if given is None else given * epoch
    name = "--recipe.warmup" if given is None else "--recipe.warmup-epochs"
    length = f"{warmup / epoch:.3g} epochs" if warmup >= epoch else f"{warmup:.0f} steps"
    rest = total - round(recipe.cooldown_epochs * epoch)
    what = "the run" if rest == total else "what the cool-down leaves"
    if warmup >= rest and total > 1:
        fits = f"{name} 0.1" if given is None else f"{name} {0.1 * total / epoch:.2g}"
        yield (
            f"the warm-up of {length} is as long as {what} ({rest / epoch:.3g} epochs, {rest:,} steps) or "
            f"longer, so lr {plan.lr:.2g} is never held: a run this short is a trial; {fits} fits"
        )
    elif warmup > rest / 2:
        yield f"the warm-up of {length} takes more than half of {what} ({rest / epoch:.3g} epochs)"


def _average(plan: Plan) -> Iterator[str]:
    """The averaged weights must have time to leave the first ones."""
    if not plan.recipe.ema:
        return
    decay = float(plan.recipe.ema_decay)
    left = decay**plan.total_steps
    if left > UNTRAINED:
        fits = 1 - 1 / max(2.0, plan.total_steps / 20)
        yield (
            f"recipe.ema_decay {decay:g} looks back too far for {plan.total_steps:,} steps: at the end "
            f"{100 * left:.0f} % of the averaged weights are the untrained ones; {fits:.4g} or auto fits"
        )


def ema_left_behind(latest: dict[str, float]) -> str | None:
    """A sentence where the averaged weights ended far below the plain ones."""
    metric = headline_of({name.removeprefix("val/"): value for name, value in latest.items()})
    plain, averaged = latest[f"val/{metric}"], latest.get(f"val_ema/{metric}")
    if averaged is None or plain - averaged < 0.05:
        return None
    return (
        f"the averaged weights ended at {100 * averaged:.1f} %, the plain ones at {100 * plain:.1f} %: the "
        "average never caught up; a lower recipe.ema_decay, or auto, looks back less far"
    )


def _learning_rate(settings: TrainSettings, plan: Plan) -> Iterator[str]:
    """A rate that was right for another batch size, or that starts or ends above its peak."""
    for name in ("warmup_lr", "min_lr"):
        edge = getattr(plan.recipe, name)
        if edge is not None and edge > plan.lr:
            yield f"recipe.{name} {edge:g} is above the peak of {plan.lr:.3g} (lr); 0 to {plan.lr:.3g} fits"
    if settings.lr == "auto":
        return
    scaled = plan.recipe.lr_per_512
    if scaled is not None:
        fits = scaled * plan.batch_size / 512
        if abs(plan.lr / fits - 1) > 0.01:
            yield (
                f"lr {plan.lr:g} was given, so recipe.lr_per_512 {scaled:g} has no effect: batch "
                f"{plan.batch_size} would get {fits:.3g}; leave lr out to scale it"
            )
        return
    try:
        usual, why = peak_lr(plan.recipe.optimizer, plan.batch_size)
    except ConfigError:  # there is no rule for this optimizer
        return
    if plan.lr > FAR_LR * usual:
        yield (
            f"lr {plan.lr:g} is {plan.lr / usual:.0f} times what fits {plan.recipe.optimizer} at batch "
            f"{plan.batch_size}: {usual:g} ({why})"
        )


def _image_size(settings: TrainSettings, plan: Plan, image_side: int) -> Iterator[str]:
    """What is meant for photographs of 224 pixels, on small images."""
    recipe, image = plan.recipe, plan.config.image
    side = min(image.height, image.width)
    if recipe.crop == "resized" and side <= SMALL_PX and recipe.smallest_crop < SMALL_CROP:
        seen = recipe.smallest_crop**0.5 * side
        yield (
            f"recipe.smallest_crop {recipe.smallest_crop:g} is meant for photographs: of a {side}-px image "
            f"it shows as little as {seen:.0f}×{seen:.0f} pixels, enlarged; --recipe.crop pad, or "
            "--recipe.smallest-crop 0.35, fits"
        )
    if image_side * ENLARGED <= side and settings.pretrained is None:
        times = (side / image_side) ** 2
        yield (
            f"images of {image_side} px are enlarged to {side} px, {times:.0f} times as many pixels without "
            f"any more to see; --image-size {image_side} with --model auto takes them as they are"
        )


def _regularisation(plan: Plan, parameters: int) -> Iterator[str]:
    """What a large model needs and a small one suffers from."""
    rate = plan.recipe.drop_path
    if rate >= HIGH_DROP_PATH and parameters < TINY_PARAMETERS:
        yield (
            f"recipe.drop_path {rate:g} is for models of 80 M parameters and more, and this one has "
            f"{parameters / 1e6:.1f} M; 0 to 0.1 fits"
        )
