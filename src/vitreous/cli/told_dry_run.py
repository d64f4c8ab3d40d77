"""A dry run on a terminal."""

import statistics

from vitreous.cli.tables import print_table
from vitreous.data.memory import in_words
from vitreous.runs.dry_run import DryRun
from vitreous.runs.dry_run_pictures import sparkline
from vitreous.training.progress import clock
from vitreous.training.record import decisions


def tell(planned: DryRun) -> None:
    """Print decisions, layers, time, memory, disk, and what the command would do."""
    plan, memory, disk = planned.plan, planned.memory, planned.disk
    print("\n".join(decisions(plan, planned.cost)))
    print()
    rows = [
        (each.name, f"{each.tokens:,}", f"{each.width:,}", f"{each.parameters:,}", f"{each.macs / 1e6:,.2f}")
        for each in planned.cost.by_layer
    ]
    total = ("sum", "", "", f"{planned.cost.parameters:,}", f"{planned.cost.macs / 1e6:,.2f}")
    print_table(("layer", "tokens", "width", "parameters", "million MACs"), [*rows, total])
    print()
    median_s = statistics.median(planned.step_s)
    spread = f"{1e3 * min(planned.step_s):.0f} to {1e3 * max(planned.step_s):.0f}"
    figures = [
        (
            "a step",
            f"{1e3 * median_s:.0f} ms, {plan.batch_size / median_s:,.0f} images/s "
            f"(median of {len(planned.step_s)} after 2 to warm up; {spread} ms)",
        ),
        ("a validation", f"{planned.validation_s:.1f} s"),
        (
            "time",
            f"{clock(planned.eta_s)} for {planned.steps_left:,} of {plan.total_steps:,} steps, "
            f"validation included{f'; not counted: {planned.not_counted}' if planned.not_counted else ''}",
        ),
        ("memory", f"{in_words(memory.counted)} counted: {_kinds(planned)}"),
        (
            "memory, peak",
            (f"{in_words(memory.peak)} measured, {memory.peak_is}" if memory.peak else "not measured here")
            + f"; {in_words(planned.memory_free)} were free before",
        ),
        (
            "disk",
            f"checkpoints {in_words(disk.checkpoints)} ({in_words(disk.checkpoint)} each), model "
            f"{in_words(disk.model)}, cache of decoded images {in_words(disk.cache)}; "
            f"{in_words(disk.free)} free",
        ),
        ("learning rate", sparkline([rate for _, rate in planned.rates])),
        ("pictures", " ".join(map(str, planned.pictures.values()))),
        ("would", planned.prospect.sentence),
    ]
    for name, told in figures:
        print(f"{name:<16} {told}")


def _kinds(planned: DryRun) -> str:
    memory = planned.memory
    kinds = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "optimizer": memory.optimizer,
        "average": memory.average,
        "activations of a batch": memory.activations,
    }
    return ", ".join(f"{name} {in_words(size)}" for name, size in kinds.items() if size)
