"""What a run tells about itself: the decisions on screen, `data.json`, the card's provenance."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vitreous.analysis.cost import Cost
from vitreous.data.images import ImageData
from vitreous.data.labels import images_by_class
from vitreous.redaction import redact
from vitreous.training.balance import describe_balance
from vitreous.training.command import as_command
from vitreous.training.environment import describe_environment
from vitreous.training.pace import left_out
from vitreous.training.plan import Plan
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings
from vitreous.training.stopping import metric_of


def decisions(plan: Plan, counted: Cost) -> Iterator[str]:
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
        *([("recipe.init", recipe.init)] if recipe.init != "default" else []),
        *([("recipe.optimizer", recipe.optimizer)] if recipe.optimizer != Recipe.optimizer else []),
        *_progressive(plan),
        ("lr", f"{plan.lr:.2g}"),
        ("recipe.crop", f"{recipe.crop}" + (f", {recipe.padding} px" if recipe.crop == "pad" else "")),
        ("recipe.flip", "on" if recipe.flip else "off"),
        *_mixing(recipe),
        *([("recipe.ema_decay", str(recipe.ema_decay))] if recipe.ema else []),
    ]
    distilling = plan.distilling
    if distilling.teacher is not None:
        rows += [
            ("teacher", f"{distilling.teacher}, {distilling.kind}" + ", asked once" * distilling.cache),
            ("distilling.alpha", f"{distilling.alpha}"),
        ]
    guidance = plan.guidance
    if guidance.teacher is not None:
        rows += [
            ("guidance", f"{guidance.teacher}, weight {guidance.weight:g}"),
            ("guidance.layers", str(guidance.layers)),
            *([("guidance.epochs", str(guidance.epochs))] if guidance.epochs != "auto" else []),
        ]
    if plan.deterministic:
        rows.append(("deterministic", "on"))
    for name, value in rows:
        yield f"{name:<16} {value}" + (f"  ({why[name]})" if name in why else "")
    yield f"{'seed':<16} {plan.seed}"


def _progressive(plan: Plan) -> list[tuple[str, str]]:
    """The row on smaller images first, where there are any."""
    size, share = plan.recipe.progressive_size, plan.recipe.progressive_share
    return (
        []
        if size is None
        else [("recipe.progressive_size", f"{size} px for {100 * share:.0f} % of the steps")]
    )


def _mixing(recipe: Recipe) -> list[tuple[str, str]]:
    """The row on mixup and cutmix, where their share of the batches was chosen."""
    share = recipe.mix_probability
    return [] if share == "auto" else [("recipe.mix_probability", f"{share:g}")]


def describe_data(data: ImageData, plan: Plan) -> dict[str, Any]:
    """The content of `data.json`."""
    counts = {
        name: dict(
            zip(
                data.classes,
                images_by_class(split.labels, len(data.classes)).tolist(),
                strict=True,
            )
        )
        for name, split in data.splits.items()
    }
    balance = {}
    if plan.recipe.balance != "none":
        balance["balance"] = describe_balance(data.splits["train"], data.classes, plan.recipe)
    return {
        **dataclasses.asdict(data.scan),
        "per_class": counts,
        "mean": plan.preprocessing.mean,
        "std": plan.preprocessing.std,
        "fingerprint": data.fingerprint,
        **balance,
    }


def provenance(
    settings: TrainSettings, plan: Plan, best: dict[str, Any], step: int, taken: int
) -> dict[str, Any]:
    """Where the delivered weights come from, for the model card, after `step` steps with `taken` taken."""
    early = f", stopped at {step / plan.steps_per_epoch:.4g}" if step < plan.total_steps else ""
    taught: dict[str, Any] = {}
    if plan.distilling.teacher is not None:
        taught = {f"distilling.{key}": each for key, each in dataclasses.asdict(plan.distilling).items()}
        taught["distilling.teacher"] = redact(f"{Path(plan.distilling.teacher).name} ({plan.taught_by})")
    if plan.guidance.teacher is not None:
        taught |= {f"guidance.{key}": each for key, each in dataclasses.asdict(plan.guidance).items()}
        taught["guidance.teacher"] = redact(f"{Path(plan.guidance.teacher).name} ({plan.taught_by})")
    return {
        "command": redact(as_command(dataclasses.replace(settings, out=None, fresh=False))),
        "data": redact(", ".join(Path(each).name for each in settings.data)),
        "data fingerprint": plan.fingerprint,
        "seed": plan.seed,
        "weights": f"{best['weights']}, epoch {best['epoch']:.4g} of {plan.epochs:.4g}{early}"
        f"{left_out(taken, step)}, best on val/{metric_of(settings.stopping, best)}",
        "settings": {
            "batch_size": plan.batch_size,
            "lr": plan.lr,
            "precision": plan.precision,
            "steps": plan.total_steps,
            **{f"recipe.{key}": value for key, value in dataclasses.asdict(plan.recipe).items()},
            **taught,
        },
    }


def environment_changes(run: Path, device: str) -> list[str]:
    """What differs between the machine a run was started on (`env.json`) and this one, `what: old → new`."""
    try:
        before = json.loads((run / "env.json").read_text())
    except (OSError, ValueError):
        return []
    now = describe_environment(device)
    then = before.get("packages", {})
    changed = [
        f"{name} {then.get(name)} → {new}" for name, new in now["packages"].items() if then.get(name) != new
    ]
    hardware = [key for key in ("processor", "gpu") if before.get(key) != now.get(key)]
    return changed + [f"{key} {before.get(key)} → {now.get(key)}" for key in hardware]
