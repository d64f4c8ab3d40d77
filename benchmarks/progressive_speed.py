"""What a step on smaller images saves: progressive resolution at two sizes, step against step.

Whole steps of the default recipe (batch, augmentation, forward, backward, optimizer, average) of one run
with `recipe.progressive_size`, in turns at the small and at the full size, so that a busy machine slows both
alike. Random pixels stand for images. Printed are images per second at each size, the ratio of a pair of
neighbouring steps (median, quartiles), in wall time and in processor time, and what the latter makes of a run
whose first half is at the small size: 1 / (½ + ½ / ratio).

    python benchmarks/progressive_speed.py [--model eit_small_image] [--small 24 16] [--pairs 15]
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from machine import describe_machine
from step_overhead import make_folder

from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.training.allocator import memory_kept
from vitreous.training.assemble import make_augmentation, make_model, make_step, make_train_batches
from vitreous.training.decide import decide
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings


def seconds(settings: TrainSettings, pairs: int) -> list[tuple[float, float, float, float]]:
    """Of each pair of steps: wall and processor seconds of the small one, then of the full one."""
    data = open_images(settings.data, loading=settings.loading, seed=0)
    plan = decide(settings, data)
    model, forward = make_model(plan)
    trainee = make_step(plan, model, forward)
    batches = make_train_batches(plan, data, settings.loading).from_step(0)
    augment = make_augmentation(plan)
    found = []
    for pair in range(pairs + 2):  # the first two warm up
        times: list[float] = []
        for step in (0, plan.total_steps - 1):
            batch = next(batches)
            wall, processor = time.perf_counter(), time.process_time()
            trainee.backward(trainee.objective.show(batch, augment, step), step).tolist()
            trainee.update()
            times += [time.perf_counter() - wall, time.process_time() - processor]
        if pair >= 2:
            found.append((times[0], times[1], times[2], times[3]))
    return found


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Median and the quartiles around it."""
    low, middle, high = statistics.quantiles(values, n=4)
    return middle, low, high


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="eit_small_image")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--small", type=int, nargs="+", default=[24, 16])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    machine = describe_machine("cpu")
    print(f"{arguments.model}, batch {arguments.batch_size}, {arguments.size} px, cpu\n{machine}\n")
    with tempfile.TemporaryDirectory() as folder, memory_kept():
        make_folder(Path(folder), images=10 * arguments.batch_size, size=arguments.size)
        for small in arguments.small:
            settings = TrainSettings(
                data=[folder],
                model=arguments.model,
                image_size=arguments.size,
                batch_size=arguments.batch_size,
                precision=arguments.precision,
                epochs=10,
                device="cpu",
                compile=False,
                recipe=Recipe(progressive_size=small),
                loading=Loading(path="resident"),
            )
            found = seconds(settings, arguments.pairs)
            speeds = [
                arguments.batch_size / statistics.median(each[place] for each in found) for place in (0, 2)
            ]
            wall = quartiles([each[2] / each[0] for each in found])
            processor = quartiles([each[3] / each[1] for each in found])
            run = 1 / (0.5 + 0.5 / processor[0])
            print(
                f"{small:>3} px {speeds[0]:7.0f} img/s, {arguments.size} px {speeds[1]:7.0f} img/s; ratio "
                f"{wall[0]:.2f} ({wall[1]:.2f} to {wall[2]:.2f}) by the clock, {processor[0]:.2f} "
                f"({processor[1]:.2f} to {processor[2]:.2f}) in processor time, n = {len(found)}; "
                f"a run whose first half is small: {run:.2f} times as fast"
            )
            record = {
                "benchmark": "progressive_speed", "model": arguments.model, "small": small,
                "size": arguments.size, "img_s": speeds, "ratio_wall": wall, "ratio_processor": processor,
                "run": run, "n": len(found), "machine": machine,
            }  # fmt: skip
            print(json.dumps(record))


if __name__ == "__main__":
    main()
