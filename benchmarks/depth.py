"""Do a hundred and a thousand shared layers train? Shared, unshared and mixed depth beside each other.

SReT (Shen, Liu, Xing, ECCV 2022) claims that networks of 100 to 1000 and more shared layers train "with ease"
at a compact size. Here the claim meets small networks of one width (16 tokens and a class token of `--width`
channels, Fashion-MNIST at 28 pixels):

    shared       12 blocks × 9 turns = 108 applications, a projection (NLL) after each, learned sums
    untied       108 blocks of their own, no turn, the same branches
    mixed        as shared, trained together with the path that applies each block once (mixed depth)
    drawn        as mixed, with a number of turns drawn for each step
    turns-T      12 blocks × T turns, one projection in each block: the same parameters at every T
    1008         28 blocks × 36 turns, one projection in each block
    1008-mixed   the same with mixed depth

For each run: training loss, test accuracy (images that were read once, at the end), whether a loss or
gradient was ever not finite (the loop stops there), the gradient norm of a step (from `metrics.jsonl`), and
the norm of the loss's gradient at the output of every application, at the start and at the end: what a
hundred layers do to a signal. A second table reads each network of 12 × 9 with fewer turns than it was
trained with: one checkpoint at several speeds, its accuracy and the time of a forward pass beside that of all
turns. Seeds and variants can be run in pieces with one --out. The last line says what was run; --keep NAME
writes benchmarks/results/NAME.md, NAME.json and NAME.png.

    python benchmarks/depth.py --data train.parquet --test test.parquet --seeds 0 1 2 --keep depth
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from kept import in_pieces, keep
from machine import describe_machine
from small_data import spread
from torch import Tensor, nn
from torch.nn import functional as F

import vitreous as vt
from vitreous.data.batches import make_batches
from vitreous.data.images import open_images
from vitreous.errors import DivergedError
from vitreous.models import to_json
from vitreous.models.recursive import extremely_deep
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import ImageShape
from vitreous.parts.block import BlockModule
from vitreous.parts.recursion import RecursiveModule

# blocks, turns, one projection a block, mixed depth
VARIANTS = {
    "shared": (12, 9, False, "none"),
    "untied": (108, 1, False, "none"),
    "mixed": (12, 9, False, "one_turn"),
    "drawn": (12, 9, False, "drawn"),
    "turns-1": (12, 1, True, "none"),
    "turns-2": (12, 2, True, "none"),
    "turns-4": (12, 4, True, "none"),
    "turns-9": (12, 9, True, "none"),
    "1008": (28, 36, True, "none"),
    "1008-mixed": (28, 36, True, "one_turn"),
}
ROUNDS = 9
AT_TURNS = (1, 2, 4, 9)  # at which the networks of nine turns are read


def network(variant: str, width: int) -> VisionTransformer:
    """The model of a variant for greyscale images of 28 pixels."""
    blocks, times, one_projection, _ = VARIANTS[variant]
    return extremely_deep(
        image=ImageShape(1, 28, 28),
        classes=10,
        width=width,
        heads=width // 16,
        blocks=blocks,
        times=times,
        one_projection=one_projection,
        patch=7,
        ratio=2,
        name=variant,
        source="ours",
    )


@contextmanager
def outputs_kept(model: nn.Module) -> Iterator[list[Tensor]]:
    """The tokens that every application of a block leaves, in order, with their gradients."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, given: Any, tokens: Any) -> None:
        tokens.x.retain_grad()
        kept.append(tokens.x)

    blocks = []
    for layer in model.layers:  # type: ignore[union-attr]
        blocks.append(layer.block if isinstance(layer, RecursiveModule) else layer)
    assert all(isinstance(block, BlockModule) for block in blocks)
    hooks = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def gradients_by_application(model: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    """Norm of the loss's gradient at the output of each application, the first one first."""
    with outputs_kept(model) as kept:
        F.cross_entropy(model(images), labels).backward()
    return [float(each.grad.norm()) for each in kept if each.grad is not None]


def train_once(variant: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one variant with one seed, or continue it, and measure what it became."""
    mixed, deep = VARIANTS[variant][3], variant.startswith("1008")
    config = network(variant, arguments.width)
    out = Path(arguments.out) / f"{variant}-{seed}"
    steps = arguments.steps_1008 if deep else arguments.steps
    epochs = 1 if deep else 4
    settings = {
        "epochs": epochs,
        "batch_size": arguments.batch_size,
        "lr": arguments.lr,
        "eval_every": epochs,
        "precision": "float32",
        "device": "cpu",
        "compile": arguments.compile and VARIANTS[variant][1] > 4,
        "recipe": {
            "mixup": 0.0, "cutmix": 0.0, "randaugment": 0, "drop_path": 0.0, "ema": False, "warmup": 0.2,
            "mixed_depth": mixed,
        },
        "loading": {"limit": steps * arguments.batch_size // epochs, "val_share": 0.01},
    }  # fmt: skip
    test = open_images(arguments.test, need=("test",))
    record: dict[str, Any] = {
        "variant": variant, "seed": seed, "applications": _applications(config),
        "parameters": vt.cost(config).parameters, "macs": vt.cost(config).macs, "steps": steps,
    }  # fmt: skip
    try:
        run = vt.train(arguments.data, json_of(config, out), out, seed=seed, **settings).run_dir
    except DivergedError as error:
        return record | {"diverged": str(error)}
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    norms = [each["optim/grad_norm"] for each in events if "optim/grad_norm" in each]
    scored = vt.evaluate(run, data=arguments.test, split="test", device="cpu")
    model = vt.load(run).model
    torch.manual_seed(seed)
    fresh = vt.build(config)
    preprocessing = vt.load(run).preprocessing
    batch = next(make_batches(test.splits["test"], preprocessing, batch_size=128, train=False).all())
    images = preprocessing.normalize(batch.images)
    return record | {
        "diverged": None,
        "test_top1": scored.metrics["test/top1"],
        "train_loss": [each["train/loss"] for each in events if "train/loss" in each][-1],
        "first_loss": next(each["train/loss"] for each in events if "train/loss" in each),
        "grad_norm_median": statistics.median(norms),
        "grad_norm_largest": max(norms),
        "step_s": statistics.median(each["time/step_s"] for each in events if "time/step_s" in each),
        "gradients_at_start": gradients_by_application(fresh, images, batch.labels),
        "gradients_at_end": gradients_by_application(model, images, batch.labels),
        "by_turns": by_turns(run, images, arguments.test) if VARIANTS[variant][1] == max(AT_TURNS) else [],
    }


def by_turns(run: Path, images: Tensor, test: list[str]) -> list[dict[str, float]]:
    """Test accuracy and forward time of one checkpoint at each number of turns, in rounds that alternate."""
    classifier = vt.load(run)
    models = {turns: classifier.with_turns(turns).model.eval() for turns in AT_TURNS}
    times: dict[int, list[float]] = {turns: [] for turns in AT_TURNS}
    for _ in range(ROUNDS):
        for turns, model in models.items():
            begun = time.perf_counter()
            with torch.inference_mode():
                model(images)
            times[turns].append(time.perf_counter() - begun)
    found = []
    for turns in AT_TURNS:
        scored = vt.evaluate(run, data=test, split="test", device="cpu", turns=turns)
        forward_ms = 1000 * statistics.median(times[turns]) / len(images)
        found.append({"turns": turns, "test_top1": scored.metrics["test/top1"], "forward_ms": forward_ms})
    return found


def json_of(config: VisionTransformer, out: Path) -> str:
    """The model as a file beside the run, which the run's settings can name."""
    file = out.with_suffix(".model.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(to_json(config)))
    return str(file)


def _applications(config: VisionTransformer) -> int:
    return sum(getattr(layer, "times", 1) for layer in config.layers)


def decay(norms: list[float]) -> float:
    """How much larger the largest gradient of an application is than the smallest."""
    return max(norms) / max(min(norms), 1e-30)


def table(runs: list[dict[str, Any]]) -> str:
    """A row a variant: mean ± standard deviation over seeds."""
    lines = [
        "| variant | applications | parameters | million MACs | steps | seeds | not finite | train loss "
        "| test top-1 (%) | gradient norm, median (largest) | largest / smallest gradient, start → end "
        "| step (s) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for variant in dict.fromkeys(run["variant"] for run in runs):
        mine = [run for run in runs if run["variant"] == variant]
        done = [run for run in mine if run["diverged"] is None]
        first = mine[0]
        cells = [
            f"`{variant}`", f"{first['applications']}", f"{first['parameters']:,}",
            f"{first['macs'] / 1e6:.1f}", f"{first['steps']}", f"{len(mine)}",
            f"{len(mine) - len(done)} runs",
        ]  # fmt: skip
        if done:
            start = statistics.median(decay(run["gradients_at_start"]) for run in done)
            end = statistics.median(decay(run["gradients_at_end"]) for run in done)
            largest = max(run["grad_norm_largest"] for run in done)
            cells += [
                spread([run["train_loss"] for run in done], 3),
                spread([run["test_top1"] for run in done], 2, 100),
                f"{statistics.median(run['grad_norm_median'] for run in done):.2f} ({largest:.2f})",
                f"{start:,.1f} → {end:,.1f}",
                spread([run["step_s"] for run in done]),
            ]
        lines.append("| " + " | ".join(cells + ["–"] * (12 - len(cells))) + " |")
    return "\n".join(lines)


def turns_table(runs: list[dict[str, Any]]) -> str:
    """One checkpoint at several numbers of turns; a row a variant, times as shares of that of all turns."""
    head = "".join(f" {turns} turns |" for turns in AT_TURNS)
    lines = ["| trained as | seeds |" + head, "|---|---|" + "---|" * len(AT_TURNS)]
    for variant in dict.fromkeys(run["variant"] for run in runs if run.get("by_turns")):
        mine = [run["by_turns"] for run in runs if run["variant"] == variant and run.get("by_turns")]
        cells = []
        for at in range(len(AT_TURNS)):
            share = statistics.median(each[at]["forward_ms"] / each[-1]["forward_ms"] for each in mine)
            accuracy = spread([each[at]["test_top1"] for each in mine], 2, 100)
            cells.append(f"{accuracy} % in {share:.2f} of the time")
        lines.append(f"| `{variant}` | {len(mine)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(runs: list[dict[str, Any]], file: Path) -> None:
    """Gradient norm by application, at the start and at the end; one line a run."""
    from matplotlib.figure import Figure

    variants = list(dict.fromkeys(run["variant"] for run in runs if run["diverged"] is None))
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for panel, key, title in zip(
        axes, ("gradients_at_start", "gradients_at_end"), ("before training", "after training"), strict=True
    ):
        for number, variant in enumerate(variants):
            for run in (each for each in runs if each["variant"] == variant and each["diverged"] is None):
                share = [place / max(1, len(run[key]) - 1) for place in range(len(run[key]))]
                label = variant if run["seed"] == min(each["seed"] for each in runs) else None
                panel.plot(share, run[key], color=f"C{number}", alpha=0.7, linewidth=1.2, label=label)
        panel.set(yscale="log", title=title, xlabel="place of the application (0 first, 1 last)")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("norm of the loss's gradient at its output")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=600, help="of all but the networks of 1008 applications")
    parser.add_argument("--steps-1008", type=int, default=150)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", default="runs/depth")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md, NAME.json and NAME.png")
    arguments = parser.parse_args()

    asked = {
        "data": arguments.data,
        "steps": arguments.steps,
        "steps_1008": arguments.steps_1008,
        "lr": arguments.lr,
        "width": arguments.width,
    }
    measure = partial(train_once, arguments=arguments)
    runs = in_pieces(arguments.variants, arguments.seeds, arguments.out, asked, measure)

    names = " ".join(Path(each).name for each in arguments.data)
    text = (
        f"{names}; width {arguments.width}, batch {arguments.batch_size}, lr {arguments.lr:g}, float32; "
        f"{describe_machine('cpu')}.\n\n{table(runs)}\n\n"
        f"One checkpoint with fewer turns than it was trained with:\n\n{turns_table(runs)}\n"
    )
    print(text)
    record = {"data": names, "machine": describe_machine("cpu"), "runs": runs}
    if arguments.keep:
        draw(runs, keep(arguments.keep, text, record).with_suffix(".png"))
    print(json.dumps({"data": names, "variants": len({run["variant"] for run in runs})}))


if __name__ == "__main__":
    main()
