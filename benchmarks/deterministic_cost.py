"""What --deterministic costs in a training step: processor seconds with it and without, in pairs.

A step is forward, backward and update over random images. Pairs are interleaved and the first of a pair
alternates, so that what else the machine does meets both alike; on a CPU processor time is taken, which
waiting does not count, and on a GPU wall time after a synchronisation.

    python benchmarks/deterministic_cost.py --model eit_small_image --pairs 15
"""

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path

import torch
from machine import describe_machine

import vitreous as vt
from vitreous.training.objective import Shown
from vitreous.training.recipe import Recipe
from vitreous.training.step import TrainStep
from vitreous.training.surroundings import as_deterministic


def seconds(trainee: TrainStep, shown: Shown, steps: int) -> float:
    """Of one step."""
    clock = time.perf_counter if trainee.device.type == "cuda" else time.process_time
    begin = clock()
    for step in range(steps):
        trainee.backward(shown, step).tolist()
        trainee.update()
    return (clock() - begin) / steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="eit_small_image")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    config = vt.config(arguments.model, image_size=arguments.image_size, classes=10)
    model = vt.build(config, drop_path=0.1).to(arguments.device)
    trainee = TrainStep(
        model, Recipe(), lr=1e-4, total_steps=1000, seed=0, precision=arguments.precision, ema_decay=0.99
    )
    size = (arguments.batch_size, 3, arguments.image_size, arguments.image_size)
    shown = Shown(torch.randn(size, device=arguments.device), torch.zeros(size[0], dtype=torch.int64,
                  device=arguments.device))  # fmt: skip
    ratios, plain = [], []
    for pair in range(-1, arguments.pairs):
        found = {}
        for strict in (False, True) if pair % 2 else (True, False):
            with as_deterministic(strict):
                found[strict] = seconds(trainee, shown, arguments.steps)
        if pair >= 0:  # the first warms up
            ratios.append(found[True] / found[False])
            plain.append(found[False])
    low, median, high = statistics.quantiles(ratios, n=4)
    told = {**dataclasses.asdict(config.image), "model": arguments.model, "batch": size[0], "n": len(ratios),
            "plain_s": statistics.median(plain), "ratio": median, "quartiles": [low, high]}  # fmt: skip
    clock = "processor" if arguments.device == "cpu" else "wall"
    what = f"`{arguments.model}` at {arguments.image_size} px, batch {size[0]}, {arguments.precision}"
    text = (
        f"{describe_machine(arguments.device)}.\n\n{what}: a step with --deterministic takes {median:.3f} "
        f"times one without (median of {len(ratios)} interleaved pairs, quartiles {low:.3f} to {high:.3f}; "
        f"{clock} time).\n"
    )
    print(text)
    print(json.dumps(told))
    if arguments.keep:
        (Path(__file__).parent / "results" / f"{arguments.keep}.md").write_text(text)


if __name__ == "__main__":
    main()
