"""A million images from WebDataset shards: images per second, and memory that does not grow.

What is measured: training's own batches (`make_batches`, streaming) of a made-up shard set, decoded and
fitted by worker processes, for several minutes; every few seconds the proportional set size (PSS: shared
pages count once) of this process and its workers, from /proc. Flat means that the second half of the run does
not need more than its start: the line fitted to it is printed as MiB per 100,000 images.

How: 10,000 distinct JPEG images of smooth noise in 100 classes make one shard (webdataset's writer), which is
copied under other names until there are a million, so that the set is made in a minute; a small validation
shard is beside them. The set is opened as `vitreous train` opens it (an index of all headers, a sample of
10,000 images decoded) and streamed in a full shuffle. Then, for comparison and in turns: the same again, with
`--loading.order shards`, and through webdataset's own sequential reader with its shard shuffle and a buffer
of 1,000 samples, the same workers and the same decoding.

    python benchmarks/stream_memory.py --out benchmarks/results/stream_memory_<machine>_<year-month>

Everything is made in a temporary folder (3 GB, --folder says where) and removed. Ends with one JSON line;
--out writes it to a .json and the tables to a .md file. Linux only.
"""

import argparse
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset
from machine import describe_machine
from PIL import Image
from torch.utils.data import DataLoader

from vitreous.data.batches import make_batches
from vitreous.data.images import ImageSplit, open_images
from vitreous.data.loading import Loading
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.sampling import Sampling
from vitreous.data.shard_order import shards_for_order

PER_SHARD = 10_000
CLASSES = 100
MIB = 1 << 20


def make_shards(folder: Path, images: int, side: int) -> list[str]:
    """Training shards and one for validation; the patterns that name them."""
    generator = np.random.default_rng(0)

    def shard(path: Path, count: int) -> None:
        with webdataset.TarWriter(str(path)) as writer:
            for number in range(count):
                coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
                file = io.BytesIO()
                coarse.resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
                writer.write({"__key__": f"{number:06}", "jpg": file.getvalue(), "cls": number % CLASSES})

    (folder / "classes.json").write_text(json.dumps([f"class {number:03}" for number in range(CLASSES)]))
    shards = images // PER_SHARD
    shard(folder / "train-00000.tar", PER_SHARD)
    shard(folder / "val-00000.tar", 1000)
    for number in range(1, shards):
        shutil.copyfile(folder / "train-00000.tar", folder / f"train-{number:05}.tar")
    return [f"wds:{folder}/train-{{00000..{shards - 1:05}}}.tar", f"wds:{folder}/val-00000.tar"]


def memory() -> dict[str, float]:
    """MiB of this process and of its children: PSS, and the part of it that is no file."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    found = {"main": 0.0, "workers": 0.0, "anonymous": 0.0}
    for pid in (str(own), *children):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # a process that has just ended
        kib = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
        found["main" if pid == str(own) else "workers"] += kib["Pss:"] / 1024
        found["anonymous"] += kib["Pss_Anon:"] / 1024
    return {name: round(value, 1) for name, value in found.items()}


def stream(batches: Iterator[object], size: int, seconds: float, every_s: float) -> list[dict[str, float]]:
    """Drain batches for some seconds; a row every few of them: seconds, images, MiB."""
    next(batches)  # workers start
    rows: list[dict[str, float]] = []
    begin = last = time.perf_counter()
    images = 0
    while True:
        next(batches)
        images += size
        now = time.perf_counter()
        if now - last >= every_s or not rows:
            rows.append({"s": round(now - begin, 1), "images": images, **memory()})
            last = now
        if now - begin >= seconds:
            return rows


def rate(rows: list[dict[str, float]]) -> float:
    """Images per second from the first row to the last."""
    return (rows[-1]["images"] - rows[0]["images"]) / (rows[-1]["s"] - rows[0]["s"])


def growth(rows: list[dict[str, float]]) -> float:
    """MiB per 100,000 images in the second half, by a fitted line."""
    half = rows[len(rows) // 2 :]
    images = np.array([row["images"] for row in half]) / 100_000
    total = np.array([row["main"] + row["workers"] for row in half])
    return float(np.polyfit(images, total, 1)[0])


def ours(
    split: ImageSplit, fit: Preprocessing, size: int, loading: Loading, step: int = 0
) -> Iterator[object]:
    made = make_batches(
        split,
        fit,
        batch_size=size,
        train=True,
        loading=loading,
        sampling=Sampling(shards=shards_for_order(split, loading)),
    )
    return made.from_step(step)


def webdatasets(pattern: str, fit: Preprocessing, size: int, workers: int) -> Iterator[object]:
    """webdataset's reader with the same decoding; shards and a buffer of samples are shuffled."""

    def decoded(sample: tuple[bytes, bytes]) -> tuple[torch.Tensor, int]:
        image = fit.fit(Image.open(io.BytesIO(sample[0])).convert("RGB"))
        return image, int(sample[1])

    dataset = (
        webdataset.WebDataset(pattern.removeprefix("wds:"), shardshuffle=100, seed=0, repeat=True)
        .shuffle(1000)
        .to_tuple("jpg", "cls")
        .map(decoded)
        .batched(size, partial=False)
    )
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers))


def table(rows: list[dict[str, float]]) -> Iterable[str]:
    yield "| seconds | images | main MiB | workers MiB | both | of it no file |"
    yield "|---|---|---|---|---|---|"
    step = max(1, len(rows) // 16)
    for row in [*rows[:-1:step], rows[-1]]:
        yield (
            f"| {row['s']:.0f} | {row['images']:,.0f} | {row['main']:,.0f} | {row['workers']:,.0f} | "
            f"{row['main'] + row['workers']:,.0f} | {row['anonymous']:,.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1_000_000, help="a multiple of 10,000")
    parser.add_argument("--side", type=int, default=32, help="pixels of the images")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=150, help="of the long run; the others take a fifth")
    parser.add_argument("--every", type=float, default=3, help="seconds between looks at the memory")
    parser.add_argument("--folder", help="where the shards are made; the system's temporary folder otherwise")
    parser.add_argument("--out", help="files of the result, without their endings")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        os.environ["VITREOUS_HOME"] = f"{folder}/cache"
        measure(Path(folder), arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    size, workers, side = arguments.batch_size, arguments.workers, arguments.side
    machine = describe_machine("cpu")
    begin = time.perf_counter()
    patterns = make_shards(folder, arguments.images, side)
    made_s = time.perf_counter() - begin
    stored = sum(path.stat().st_size for path in folder.glob("*.tar"))
    before = memory()
    begin = time.perf_counter()
    loading = Loading(path="streaming", workers=workers)
    data = open_images(patterns, loading=loading)
    opened_s = time.perf_counter() - begin
    begin = time.perf_counter()
    again = open_images(patterns, loading=loading)
    again_s = time.perf_counter() - begin
    assert again.fingerprint == data.fingerprint
    index = sum(path.stat().st_size for path in (folder / "cache" / "tars").iterdir())
    after = memory()
    train = data.splits["train"]
    fit = Preprocessing(channels=3, height=side, width=side, mean=(0.5,) * 3, std=(0.25,) * 3)
    print(machine)
    print(f"{data.scan}; {stored / MIB:,.0f} MiB in tars, made in {made_s:.0f} s", flush=True)

    long = stream(ours(train, fit, size, loading), size, arguments.seconds, arguments.every)
    shards = Loading(path="streaming", workers=workers, order="shards")
    others = {
        "full shuffle, again": lambda: ours(train, fit, size, loading),
        "order shards": lambda: ours(train, fit, size, shards),
        "webdataset's reader": lambda: webdatasets(patterns[0], fit, size, workers),
    }
    rates: dict[str, list[float]] = {name: [] for name in others}
    peers: dict[str, list[dict[str, float]]] = {}
    for _ in range(3):  # in turns, so that a busy machine slows all
        for name, start in others.items():
            peers[name] = stream(start(), size, arguments.seconds / 15, arguments.every)
            rates[name].append(rate(peers[name]))
    middle = 2 * arguments.images // size // 3
    begin = time.perf_counter()
    next(ours(train, fit, size, loading, middle))
    resumed_s = time.perf_counter() - begin
    result = {
        "benchmark": "stream_memory",
        "machine": machine,
        "images": len(train),
        "side": side,
        "mib_in_tars": round(stored / MIB),
        "workers": workers,
        "batch_size": size,
        "opened_s": round(opened_s, 1),
        "opened_again_s": round(again_s, 1),
        "index_bytes_per_image": round(index / len(train), 1),
        "main_mib_before_and_after_opening": [before["main"], after["main"]],
        "images_s": round(rate(long)),
        "mib_at_start_and_end": [round(row["main"] + row["workers"], 1) for row in (long[1], long[-1])],
        "mib_growth_per_100k_images": round(growth(long), 2),
        "first_batch_in_mid_epoch_s": round(resumed_s, 2),
        "images_s_in_turns": {name: [round(each) for each in values] for name, values in rates.items()},
        "mib_in_turns": {name: round(rows[-1]["main"] + rows[-1]["workers"]) for name, rows in peers.items()},
        "rows": long,
    }
    text = "\n".join(report(result, str(data.scan), long))
    print(text)
    print(json.dumps(result))
    if arguments.out:
        Path(f"{arguments.out}.json").write_text(json.dumps(result, indent=1) + "\n")
        Path(f"{arguments.out}.md").write_text(text + "\n")


def report(result: dict[str, Any], scan: str, rows: list[dict[str, float]]) -> Iterable[str]:
    start, end = result["mib_at_start_and_end"]
    before, after = result["main_mib_before_and_after_opening"]
    yield "# A million images from shards: speed, and memory over time\n"
    yield f"`python benchmarks/stream_memory.py`. {result['machine']}.\n"
    yield f"- {scan}; {result['mib_in_tars']:,} MiB in tars"
    yield (
        f"- opened in {result['opened_s']} s (headers read, 10,000 and all validation images decoded), again "
        f"in {result['opened_again_s']} s; the index takes {result['index_bytes_per_image']} bytes an image, "
        f"the process {before:,.0f} MiB before and {after:,.0f} MiB after"
    )
    yield (
        f"- {result['images_s']:,} images/s with {result['workers']} workers, {result['side']} px, batches "
        f"of {result['batch_size']}: {rows[-1]['images']:,.0f} images in {rows[-1]['s']:.0f} s"
    )
    yield (
        f"- memory {start:,.0f} MiB at the start, {end:,.0f} MiB at the end; in the second half "
        f"{result['mib_growth_per_100k_images']:+} MiB per 100,000 images"
    )
    first = result["first_batch_in_mid_epoch_s"]
    yield f"- continuing at two thirds of an epoch: first batch after {first} s\n"
    yield "Three rounds in turns, images/s, and memory at the end:\n"
    yield "| | 1 | 2 | 3 | MiB |\n|---|---|---|---|---|"
    for name, values in result["images_s_in_turns"].items():
        mib = result["mib_in_turns"][name]
        yield f"| {name} | " + " | ".join(f"{each:,}" for each in values) + f" | {mib:,} |"
    yield "\nMemory of the long run (PSS: a page that two processes share counts once):\n"
    yield from table(rows)


if __name__ == "__main__":
    main()
