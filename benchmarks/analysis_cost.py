"""What looking inside costs: recording beside the plain forward pass, and all analyses over many images.

    python benchmarks/analysis_cost.py --models deit_tiny eit_mini --images 1000 --threads 2 --keep NAME

Recording: medians of `--pairs` interleaved pairs of a plain pass and one under `watch` (features alone;
features and maps) after a warm-up, on noise; what is seen is handed over and dropped, as `analyze` does.
The ratio is the median over pairs, with quartiles, of seconds, or with `--clock processor` of processor time,
which other programs disturb less. Goals: 1.3 for features, 2 with maps.

Analyses: `vt.analyze` over images of noise in a temporary folder, all analyses but the loss landscape, with
the untrained control; seconds, and the process's largest resident memory beyond that after one pass of the
plain model. Goals: 300 s for a tiny model over 1,000 images at 224 on two cores, 1 GiB beyond.

Probes: seconds of all four, after every validation of `--probe-epochs` epochs on digits, over those of the
run, which has short epochs; longer ones make the share smaller. Goal: 3 %.

The last line is one JSON object; `--keep NAME` writes both to `results/`, with `--note` in it.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kept import tell
from machine import describe_machine
from PIL import Image
from torch import Tensor, nn

import vitreous as vt
from vitreous.analysis.watch import watch
from vitreous.training.metrics_log import read_events
from vitreous.training.probes import PROBES

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(arguments.threads)
    rows = [measured(name, arguments) for name in arguments.models]
    lines = [
        "| model | features ×, quartiles | with maps ×, quartiles | all analyses, s | memory beyond, MiB |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row[key][1]:.2f} ({row[key][0]:.2f}–{row[key][2]:.2f})" for key in ("features", "maps")]
        whole = "–" if row["analyze_s"] is None else f"{row['analyze_s']:.0f}"
        more = "–" if row["beyond_mib"] is None else f"{row['beyond_mib']:.0f}"
        lines.append(f"| {row['model']} | {cells[0]} | {cells[1]} | {whole} | {more} |")
    record: dict[str, Any] = {"machine": describe_machine("cpu"), "arguments": vars(arguments), "rows": rows}
    if arguments.probe_epochs:
        record["probes"] = probing(arguments.probe_epochs)
        told = "Probes take {share:.1%} of a run of {model} on digits: {probe_s:.2f} of {wall_s:.1f} s."
        lines += ["", told.format(**record["probes"])]
    note = [arguments.note, ""] if arguments.note else []
    text = "\n".join(["# What looking inside costs", "", *lines, "", *note, f"{record['machine']}", ""])
    tell(text, record, arguments.keep)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["deit_tiny", "eit_mini", "sret_tiny"])
    parser.add_argument("--image-size", type=int, default=None)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--images", type=int, default=1000, help="for all analyses; 0 leaves them out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--probe-epochs", type=int, default=0, help="0 leaves probes out")
    parser.add_argument("--note", default="", help="what else ran on the machine")
    parser.add_argument("--keep", default=None, help="name of the result files")
    return parser.parse_args()


def measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    config = vt.config(name, image_size=arguments.image_size, classes=10)
    model = vt.build(config).eval()
    image = config.image
    images = torch.randn(arguments.batch, image.channels, image.height, image.width)
    row: dict[str, Any] = {"model": name}
    nothing: Callable[[Any], None] = lambda _: None  # noqa: E731
    for key, how in (
        ("features", {"see_features": nothing}),
        ("maps", {"see_features": nothing, "see_map": nothing}),
    ):
        row[key] = ratio(model, images, arguments.pairs, how, CLOCKS[arguments.clock])
    row["analyze_s"] = row["beyond_mib"] = None
    if arguments.images:
        row |= analyses(model, arguments.images, (image.height, image.width))
    return row


def ratio(
    model: nn.Module, images: Tensor, pairs: int, how: dict[str, Any], now: Callable[[], float]
) -> tuple[float, float, float]:
    """Quartiles of seconds under `watch` over seconds without, pair by pair."""

    def plain() -> float:
        begin = now()
        with torch.no_grad():
            model(images)
        return now() - begin

    def watched() -> float:
        begin = now()
        with torch.no_grad(), watch(model, **how):
            model(images)
        return now() - begin

    plain(), watched()
    found = []
    for pair in range(pairs):  # each goes first in every other pair
        first, second = (watched, plain) if pair % 2 else (plain, watched)
        one, two = first(), second()
        found.append(one / two if pair % 2 else two / one)
    low, middle, high = statistics.quantiles(found, n=4) if pairs > 1 else (found[0],) * 3
    return low, middle, high


def probing(epochs: int, model: str = "eit_digits") -> dict[str, Any]:
    """Seconds of probes over those of a run on digits."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        vt.train(
            data="digits", model=model, out=str(run), epochs=epochs, device="cpu", probes=",".join(PROBES)
        )
        events = read_events(run / "metrics.jsonl")
    probe_s = sum(each.get("time/probe_s", 0.0) for each in events)
    wall_s = max(each["wall_s"] for each in events)
    return {"model": model, "epochs": epochs, "probe_s": probe_s, "wall_s": wall_s, "share": probe_s / wall_s}


def analyses(model: nn.Module, count: int, size: tuple[int, int]) -> dict[str, float]:
    """Seconds and memory of all analyses over images of noise."""
    drawn = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            place = Path(folder, f"class {number % 10}")
            place.mkdir(exist_ok=True)
            Image.fromarray(drawn.integers(0, 255, (*size, 3), dtype=np.uint8)).save(place / f"{number}.png")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.perf_counter()
        vt.analyze(model, folder, images=count, device="cpu")
        seconds = time.perf_counter() - begin
        beyond = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"analyze_s": seconds, "beyond_mib": beyond / 1024}


if __name__ == "__main__":
    main()
