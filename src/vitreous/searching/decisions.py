"""What a search tells of its decisions: one line for each value, with its reason."""

from collections.abc import Iterator

from vitreous.searching.budget import Budget
from vitreous.searching.task import Task


def told(name: str, value: str, why: str = "") -> str:
    """One line."""
    return f"{name:<24} {value}" + (f"  ({why})" if why else "")


def decisions(task: Task, weights: int) -> Iterator[str]:
    """The lines on space, budget and supernet.

    Args:
        task: with the length of the supernet's training in its plan.
        weights: of the supernet.
    """
    plan, why, image = task.plan, task.plan.reasons, task.space.config.image
    recipe = plan.recipe
    rows = [
        ("space", f"{task.space_name}, {task.space.count:,} architectures"),
        ("image_size", f"{image.height}×{image.width}, {image.channels} channel{'s' * (image.channels > 1)}"),
        ("device", f"{plan.device}, {plan.threads} threads" if plan.device == "cpu" else plan.device),
        ("precision", plan.precision),
        ("loading.path", plan.loading_path),
        ("batch_size", f"{plan.batch_size}, {plan.steps_per_epoch} steps a pass"),
        ("epochs", f"supernet of {weights:,} weights, {plan.epochs:.3g} passes, {plan.total_steps:,} steps"),
        ("lr", f"{plan.lr:.2g}"),
        ("recipe.crop", f"{recipe.crop}" + (f", {recipe.padding} px" if recipe.crop == "pad" else "")),
        ("recipe.flip", "on" if recipe.flip else "off"),
    ]
    if recipe.mix_probability != "auto":
        rows.append(("recipe.mix_probability", f"{recipe.mix_probability:g} for the supernet"))
    for name, value in rows:
        yield told(name, value, why.get(name, ""))
    yield told("budget", str(task.budget), _range(task))
    weighing, choosing = len(task.data.splits["train"]), len(task.data.splits["val"])
    yield told("choice", f"{choosing:,} images", f"{weighing:,} others train the supernet")
    yield told("seed", str(plan.seed))


def _range(task: Task) -> str:
    """What the models of the space cost, and limits that limit nothing."""
    macs, params = task.space.range_of("macs"), task.space.range_of("parameters")
    said = (
        f"models have {macs[0] / 1e6:,.1f} to {macs[1] / 1e6:,.1f} MMACs and {params[0]:,} to {params[1]:,} "
        "parameters"
    )
    loose = _loose(task.budget, macs[1], params[1])
    return said + (f": {' and '.join(loose)} leave{'s' * (len(loose) == 1)} out none" if loose else "")


def _loose(budget: Budget, macs: int, params: int) -> list[str]:
    limits = (("macs", budget.macs, macs), ("params", budget.params, params))
    return [name for name, limit, most in limits if limit is not None and limit >= most]
