"""How many candidates of a search are scored in a minute.

A supernet of --space, --images pictures of random pixels that choose (neither weights nor pixels change the
work), and candidates drawn within --budget. Each is scored on all images: in a search, hopeless ones are
stopped early, and whole scores are what a generation waits for.

    score      the scorer alone
    ledger     claimed, scored and written down one after another, as a search does it

Seconds are of the clock; those of the processor beside them tell whether the machine had other work.

    python benchmarks/search_speed.py [--threads 1] [--candidates 30] [--keep NAME]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kept import keep
from machine import describe_machine

from vitreous.data.batch import Batch
from vitreous.data.preprocessing import Preprocessing
from vitreous.parts import ImageShape
from vitreous.searching.budget import parse_budget
from vitreous.searching.evolve import Proposal
from vitreous.searching.ledger import Ledger
from vitreous.searching.look import Looking
from vitreous.searching.named import named_space
from vitreous.searching.score import Scorer
from vitreous.searching.settings import SearchSettings
from vitreous.searching.supernet import Supernet
from vitreous.training.allocator import memory_kept
from vitreous.training.automatic import Reasons, choose_device, choose_precision
from vitreous.training.interruption import Interruption
from vitreous.training.machine import look_at_machine
from vitreous.training.settings import TrainSettings


class RandomPictures:
    """A choice split of noise."""

    def __init__(self, count: int, size: int, device: str) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (count, 3, size, size)
        self._images = torch.randint(256, shape, dtype=torch.uint8, generator=generator).to(device)
        self._labels = torch.randint(10, (count,), generator=generator).to(device)

    def all(self) -> Iterator[Batch]:
        for rows in torch.arange(len(self._labels), device=self._labels.device).split(128):
            yield Batch(self._images[rows], self._labels[rows], rows)


def seconds_of(act: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    begin = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    machine, settings = look_at_machine(), TrainSettings(device=arguments.device)
    device = choose_device(settings, machine, Reasons())
    precision = choose_precision(TrainSettings(precision=arguments.precision), device, machine, Reasons())
    size, budget = arguments.image_size, parse_budget(arguments.budget)
    space = named_space(arguments.space, image=ImageShape(3, size, size), classes=10)
    torch.manual_seed(0)
    net = Supernet(space).to(device)
    prepared = Preprocessing(height=size, width=size, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
    scorer = Scorer(net, RandomPictures(arguments.images, size, device), prepared, precision=precision)  # type: ignore[arg-type]
    generator = np.random.default_rng(0)
    genomes = list(dict.fromkeys(space.sample(generator, budget) for _ in range(4 * arguments.candidates)))
    warm, genomes = genomes[:3], genomes[3 : 3 + arguments.candidates]
    for each in warm:
        scorer.score(each)
    alone = [seconds_of(lambda each=each: scorer.score(each)) for each in genomes]  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder), None, {})
        looking = Looking(SearchSettings(), budget, space, scorer, None, ledger, Interruption())  # type: ignore[arg-type]
        proposals = [Proposal(each, 0, "random") for each in genomes]
        whole = seconds_of(lambda: looking.evaluate(proposals, None))
        ledger.close()
    macs = [space.cost(each)[0] for each in genomes]
    return {
        "space": arguments.space, "budget": str(budget), "images": arguments.images, "size": size,
        "device": device, "precision": precision, "threads": torch.get_num_threads(),
        "candidates": len(genomes), "macs": statistics.mean(macs),
        "score_s": [each[0] for each in alone], "score_cpu_s": [each[1] for each in alone],
        "ledger_s": whole[0] / len(genomes), "ledger_cpu_s": whole[1] / len(genomes),
        "machine": describe_machine(arguments.device),
    }  # fmt: skip


def told(found: dict[str, Any]) -> str:
    """The table."""
    lines = [
        f"{found['space']} within {found['budget']} at {found['size']} px, {found['images']:,} images, "
        f"{found['precision']}, {found['device']}, {found['threads']} threads; {found['candidates']} "
        f"candidates of {found['macs'] / 1e6:.1f} M MACs on average.",
        "",
        found["machine"],
        "",
        "| | seconds a candidate, median (quartiles) | of the processor | candidates a minute |",
        "|---|---|---|---|",
    ]
    quarter = statistics.quantiles(found["score_s"], n=4)
    median = statistics.median(found["score_s"])
    lines.append(
        f"| score | {median:.3f} ({quarter[0]:.3f} to {quarter[2]:.3f}) | "
        f"{statistics.median(found['score_cpu_s']):.3f} | {60 / median:.0f} |"
    )
    lines.append(
        f"| ledger | {found['ledger_s']:.3f} (mean) | {found['ledger_cpu_s']:.3f} | "
        f"{60 / found['ledger_s']:.0f} |"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="psvit_2d_small_image_12")
    parser.add_argument("--budget", default="macs=30M")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with memory_kept():  # as a search on a CPU does
        found = measure(arguments)
    text = told(found)
    print(text)
    if arguments.keep:
        print(keep(arguments.keep, f"{__doc__}\n{text}\n", found))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
