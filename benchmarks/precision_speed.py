"""What `auto` gains: the same training step, naive and as vitreous chooses to run it.

    naive     float32, torch's fused attention, no compilation, plain AdamW, memory as it comes
    auto      precision, compilation, attention kernel, memory and optimizer kernel as `vitreous train` picks
    others    every combination of precision and compilation, with --all

All in one process, interleaved: one round runs a few steps of each variant in turn, so that a busy
neighbour slows all of them alike. Reported are medians over rounds and the median of the ratios within a
round, with quartiles.

    python benchmarks/precision_speed.py [--model eit_small_image] [--image-size 32] [--batch-size 128]
    [--all]
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from machine import describe_machine

from vitreous.models.catalog import config
from vitreous.models.vision_transformer import build
from vitreous.parts import attention_kernel
from vitreous.training import automatic
from vitreous.training.allocator import memory_kept
from vitreous.training.loss import classification_loss
from vitreous.training.machine import look_at_machine
from vitreous.training.objective import Shown
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings
from vitreous.training.step import TrainStep

LONG_RUN_S = 36_000.0  # `auto` compiles only where the run is long enough: this one is


def make_naive(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[int], None]:
    """A step as the first page of a tutorial has it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=False)

    def step(number: int) -> None:
        optimizer.zero_grad()
        with patch.object(attention_kernel, "choose", lambda *_: "fused"):
            loss = classification_loss(model(images), labels, 0.1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def make_ours(
    model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, precision: str, compiled: bool
) -> Callable[[int], None]:
    """vitreous' own step, without the average of the weights that the naive one lacks."""
    forward = torch.compile(model, dynamic=False) if compiled else None
    trainee = TrainStep(
        model, Recipe(), lr=1e-4, total_steps=100_000, seed=0, precision=precision, forward=forward
    )

    def step(number: int) -> None:
        trainee.backward(Shown(images, labels), number)
        trainee.update()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="eit_small_image")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3, help="steps of a variant in a round")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--all", action="store_true", help="every precision, eager and compiled")
    arguments = parser.parse_args()

    machine, reasons = look_at_machine(), automatic.Reasons()
    settings = TrainSettings(device=arguments.device)
    device = automatic.choose_device(settings, machine, reasons)
    precision = automatic.choose_precision(settings, device, machine, reasons)
    compiled = automatic.choose_compile(
        settings, device, precision, LONG_RUN_S, arguments.image_size, machine, reasons
    )
    described = config(
        arguments.model, image_size=arguments.image_size, classes=10, channels=arguments.channels
    )
    images = torch.randn(
        arguments.batch_size, arguments.channels, arguments.image_size, arguments.image_size, device=device
    )
    labels = torch.randint(10, (arguments.batch_size,), device=device)

    def model() -> torch.nn.Module:
        torch.manual_seed(0)
        return build(described, drop_path=0.1).to(device)

    variants = {"naive": make_naive(model(), images, labels)}
    wanted = {(precision, compiled)}
    if arguments.all:
        wanted |= {(kind, both) for kind in ("float32", "bfloat16") for both in (False, True)}
    for kind, both in sorted(wanted):
        chosen = " = auto" if (kind, both) == (precision, compiled) else ""
        variants[f"{kind}{', compiled' if both else ''}{chosen}"] = make_ours(
            model(), images, labels, kind, both
        )

    def run(name: str, count: int, first: int) -> float:
        step = variants[name]
        with contextlib.nullcontext() if name == "naive" else memory_kept():
            step(first)  # one that does not count: pages and caches are another variant's
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            begin = time.perf_counter()
            for number in range(first, first + count):
                step(number)
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            return (time.perf_counter() - begin) / count

    for name in variants:
        run(name, 3, 0)  # warm-up: compilation, allocations, kernel caches
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(arguments.rounds):
        for name in variants:
            times[name].append(run(name, arguments.steps, 3 + number * arguments.steps))

    print(f"{described.name} at {arguments.image_size} px, batch {arguments.batch_size}, {device}")
    print(f"{describe_machine(arguments.device)}\n")
    print(f"{'variant':<28}{'img/s':>8}{'ms a step':>11}{'× naive':>9}{'quartiles':>16}")
    results = {}
    for name, found in times.items():
        ratios = [naive / mine for naive, mine in zip(times["naive"], found, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        median = statistics.median(found)
        results[name] = {
            "img_s": arguments.batch_size / median,
            "step_ms": 1e3 * median,
            "ratio": middle,
            "ratio_quartiles": [low, high],
        }
        print(
            f"{name:<28}{arguments.batch_size / median:>8.0f}{1e3 * median:>11.1f}{middle:>9.2f}"
            f"{f'{low:.2f} to {high:.2f}':>16}"
        )
    print(f"\nauto: {precision} ({reasons.sentences['precision']})")
    print(f"      compile {'on' if compiled else 'off'} ({reasons.sentences['compile']})")
    print(
        json.dumps(
            {
                "benchmark": "precision_speed",
                "model": described.name,
                "image_size": arguments.image_size,
                "batch_size": arguments.batch_size,
                "device": device,
                "rounds": arguments.rounds,
                "auto": {"precision": precision, "compiled": compiled},
                "variants": results,
                "machine": describe_machine(arguments.device),
            }
        )
    )


if __name__ == "__main__":
    main()
