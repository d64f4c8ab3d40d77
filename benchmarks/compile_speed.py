"""What torch.compile gains in training on this processor: whole steps, compiled beside eager, in turn.

A step is forward, cross-entropy and backward in bfloat16, without optimizer. Compared is processor time, not
that of the clock, so that other programs disturb little; use one thread. A ratio is taken in each round;
median and quartiles are printed, and what compiling itself cost.

    OMP_NUM_THREADS=1 python benchmarks/compile_speed.py --models hybrid_1m psvit_2d_small_image eit_mini

The last line is one JSON object; --keep NAME writes benchmarks/results/NAME.md and NAME.json.
"""

import argparse
import copy
import statistics
import time
from typing import Any

import torch
from kept import tell
from machine import describe_machine
from torch import nn

import vitreous as vt
from vitreous.training.compilation import compiled
from vitreous.training.step import Forward

MODELS = ["hybrid_1m", "hybrid_3m", "psvit_2d_small_image", "eit_small_image", "vit_small_image", "cct_7_3x1"]


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Processor seconds of each step, round by round."""
    torch.manual_seed(0)
    eager = vt.build(vt.config(name)).train()
    image = eager.config.image
    images = torch.randn(arguments.batch_size, image.channels, image.height, image.width)
    labels = torch.randint(0, eager.config.classes, (arguments.batch_size,))
    model = copy.deepcopy(eager)
    ways: dict[str, tuple[Forward, nn.Module]] = {
        "eager": (eager, eager),
        "compiled": (compiled(model), model),
    }

    def step(way: str) -> float:
        forward, module = ways[way]
        begun = time.process_time()
        module.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            logits = forward(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        return time.process_time() - begun

    step("eager"), step("eager")
    first_s = step("compiled") + step("compiled")
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way in ways:
            times[way].append(step(way))
    ratios = [slow / fast for slow, fast in zip(times["eager"], times["compiled"], strict=True)]
    return {
        "model": name,
        "side": image.height,
        "batch": arguments.batch_size,
        "seconds": times,
        "compiling_s": first_s - 2 * statistics.median(times["compiled"]),
        "gain": statistics.quantiles(ratios, n=4),
    }


def row(found: dict[str, Any]) -> str:
    """One line of the table."""
    eager, compiled_ = (1000 * statistics.median(found["seconds"][way]) for way in ("eager", "compiled"))
    low, middle, high = found["gain"]
    return (
        f"| `{found['model']}` | {found['side']} | {found['batch']} | {eager:.0f} | {compiled_:.0f} "
        f"| **{middle:.2f} ×** ({low:.2f} to {high:.2f}) | {found['compiling_s']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md and NAME.json")
    arguments = parser.parse_args()
    found = []
    for model in arguments.models:
        found.append(measure(model, arguments))
        print(row(found[-1]), flush=True)
    head = "| model | pixels | batch | eager (ms) | compiled (ms) | eager / compiled | compiling (s) |"
    text = "\n".join(
        [f"{describe_machine()}.", "", head, "|---|---|---|---|---|---|---|", *map(row, found), ""]
    )
    record = {"benchmark": "compile_speed", "machine": describe_machine(), "found": found}
    tell(text, record, arguments.keep)


if __name__ == "__main__":
    main()
