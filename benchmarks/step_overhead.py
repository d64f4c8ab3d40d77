"""How much of a training step is neither forward, backward nor optimizer.

A step of the default recipe (random shift, flip, RandAugment, mixup and cutmix, smoothing, clipping,
average) on a resident data set, eit_small_image at 32 px: what `vitreous train` runs, timed in four parts
by the clock.

    data       the batch gathered by index and augmented
    forward    and backward, loss included: `forward_and_backward`
    optimizer  the recipe's: Muon today, AdamW when the kept result was measured
    rest       learning rate, generator, gradient norm and clipping, average of the weights, reading the loss,
               log line

Overhead is data + rest, as a share of the whole step; the target is at most 5 %. Random pixels stand for
the images: their values do not change the work. On a GPU every part is synchronised, which makes the parts
honest and the whole a little slower than training is, where augmentation of the next batch overlaps.

    python benchmarks/step_overhead.py [--device cuda] [--batch-size 128] [--steps 30]
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine
from PIL import Image

from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.training.allocator import memory_kept
from vitreous.training.assemble import make_augmentation, make_model, make_step, make_train_batches
from vitreous.training.decide import decide
from vitreous.training.settings import TrainSettings
from vitreous.training.step import TrainStep

PARTS = ("data", "forward and backward", "optimizer", "rest")


class Clock:
    """Seconds of named parts of a step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.parts = dict.fromkeys(PARTS, 0.0)

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def around(self, part: str, function):  # type: ignore[no-untyped-def]
        def timed(*arguments, **options):  # type: ignore[no-untyped-def]
            begin = self.now()
            result = function(*arguments, **options)
            self.parts[part] += self.now() - begin
            return result

        return timed


def make_folder(folder: Path, images: int, size: int) -> None:
    """Random pictures of ten classes."""
    generator = np.random.default_rng(0)
    for number in range(images):
        target = folder / str(number % 10)
        target.mkdir(exist_ok=True)
        pixels = generator.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(target / f"{number}.png")


def measure(settings: TrainSettings, steps: int) -> tuple[list[dict[str, float]], str]:
    """Seconds by part of each step, and what was resolved."""
    data = open_images(settings.data, loading=settings.loading, seed=0)
    plan = decide(settings, data)
    model, forward = make_model(plan)
    trainee: TrainStep = make_step(plan, model, forward)
    batches = make_train_batches(plan, data, settings.loading).from_step(0)
    augment = make_augmentation(plan)
    found = []
    for number in range(steps + 5):
        clock = Clock(trainee.device)
        trainee.forward_and_backward = clock.around(  # type: ignore[method-assign]
            "forward and backward", type(trainee).forward_and_backward.__get__(trainee)
        )
        trainee.scaler.step = clock.around("optimizer", type(trainee.scaler).step.__get__(trainee.scaler))  # type: ignore[method-assign]
        begin = clock.now()
        shown = trainee.objective.show(next(batches), augment, number)
        clock.parts["data"] = clock.now() - begin
        measured = trainee.backward(shown, number)
        measured.tolist()
        trainee.update()
        clock.parts["rest"] = clock.now() - begin - sum(clock.parts.values())
        if number >= 5:
            found.append(clock.parts)
    chosen = (
        f"{plan.config.name}, batch {plan.batch_size}, {plan.precision}, {plan.device}, {plan.loading_path}"
    )
    return found, f"{chosen}{', compiled' if plan.compiled else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--model", default="eit_small_image")
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_folder(Path(folder), images=20 * arguments.batch_size, size=32)
        settings = TrainSettings(
            data=[folder],
            model=arguments.model,
            batch_size=arguments.batch_size,
            device=arguments.device,
            loading=Loading(path="resident"),
        )
        with memory_kept():
            found, chosen = measure(settings, arguments.steps)
    shares = [(each["data"] + each["rest"]) / sum(each.values()) for each in found]
    quarter = statistics.quantiles(shares, n=4)
    print(f"{chosen}\n{describe_machine(arguments.device)}\n")
    print(f"{'part':<22}{'median ms':>10}{'share':>8}")
    whole = statistics.median(sum(each.values()) for each in found)
    for part in PARTS:
        median = statistics.median(each[part] for each in found)
        print(f"{part:<22}{1e3 * median:>10.2f}{100 * median / whole:>7.1f}%")
    print(
        f"\noverhead {100 * statistics.median(shares):.1f} % of a step of {1e3 * whole:.1f} ms "
        f"(quartiles {100 * quarter[0]:.1f} to {100 * quarter[2]:.1f} %, n = {len(found)})"
    )
    record = {
        "benchmark": "step_overhead",
        "chosen": chosen,
        "overhead": statistics.median(shares),
        "overhead_quartiles": [quarter[0], quarter[2]],
        "step_ms": 1e3 * whole,
        "parts_ms": {part: 1e3 * statistics.median(each[part] for each in found) for part in PARTS},
        "n": len(found),
        "machine": describe_machine(arguments.device),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
