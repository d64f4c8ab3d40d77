"""Images per second that loading and augmentation deliver: resident mode beside timm's `create_loader`.

What is measured: normalised float32 training batches, ready for the model, with the same augmentation on
both sides (shift of up to 4 pixels over a black border, mirror, normalise) on 32×32 images; and what
RandAugment costs on top of it, as a share of a training step.

How: timm reads the same images from memory (no file is opened), decodes and augments them in two worker
processes, with and without its prefetcher, and the faster of the two counts. Worker start-up is not timed
on its side, nor the decoding that resident mode does once on ours (it is printed). Rounds alternate
between the two in one process, so that a busy machine slows both; the ratio is the median over rounds of
each round's ratio. Ours runs in one thread unless --threads says otherwise: that is enough, and on a
machine that others use too, threads that wait for each other at every operation measure the neighbours.

    python benchmarks/loading_speed.py
    python benchmarks/loading_speed.py --data cifar10-train.parquet --rounds 15

Without --data, photo-like images (smooth noise, JPEG) are made on the spot. Ends with one JSON line.
"""

import argparse
import functools
import io
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from machine import describe_machine
from PIL import Image
from timm.data.loader import create_loader
from timm.data.transforms import ToNumpy
from torch import Tensor
from torchvision import transforms

import vitreous as vt
from vitreous.data.augment import Augmentation
from vitreous.data.batches import Batches, make_batches
from vitreous.data.images import ImageSplit, open_images
from vitreous.data.loading import Loading
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.statistics import fit_preprocessing

SIDE = 32
PADDING = 4
WORKERS = 2


def made_up_images(folder: Path, count: int) -> Path:
    """A parquet file of JPEG images of smooth noise in ten classes."""
    generator = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        rows.append({"bytes": file.getvalue()})
    path = folder / "train.parquet"
    pq.write_table(pa.table({"image": rows, "label": [i % 10 for i in range(count)]}), path)
    return path


class TimmImages(torch.utils.data.Dataset[tuple[object, int]]):
    """The split as timm wants it: decoded Pillow images and a `transform` that its loader replaces."""

    def __init__(self, split: ImageSplit) -> None:
        self.split = split
        self.transform: Callable[[Image.Image], object] | None = None

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, i: int) -> tuple[object, int]:
        image = self.split.records.open(int(self.split.rows[i])).convert("RGB")
        return (self.transform(image) if self.transform else image), int(self.split.labels[i])


def timm_loader(split: ImageSplit, fit: Preprocessing, batch_size: int, *, prefetcher: bool) -> object:
    """timm's training loader with the small-image augmentation in place of its ImageNet one."""
    dataset = TimmImages(split)
    loader = create_loader(
        dataset,  # type: ignore[arg-type]
        input_size=(3, SIDE, SIDE),
        batch_size=batch_size,
        is_training=True,
        num_workers=WORKERS,
        use_prefetcher=prefetcher,
        mean=fit.mean,
        std=fit.std,
        device=torch.device("cpu"),
        persistent_workers=True,
    )
    crop = [transforms.RandomCrop(SIDE, padding=PADDING), transforms.RandomHorizontalFlip()]
    last = [ToNumpy()] if prefetcher else [transforms.ToTensor(), transforms.Normalize(fit.mean, fit.std)]
    dataset.transform = transforms.Compose([*crop, *last])
    return loader


def images_per_second(batches: Iterator[tuple[Tensor, Tensor]]) -> float:
    """Drain an iterator of batches."""
    begin = time.perf_counter()
    count = sum(len(images) for images, _ in batches)
    return count / (time.perf_counter() - begin)


def augmented(made: Batches, augment: Augmentation, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Some steps of training batches as the model gets them."""
    for step, (images, labels, _) in enumerate(itertools.islice(made.from_step(0), steps)):
        yield augment(images, labels, step)


def step_ms(model_name: str, batch_size: int, rounds: int = 5) -> float:
    """Median milliseconds of forward, backward and AdamW under bf16 autocast, where share counts most."""
    model = vt.build(vt.config(model_name, image_size=SIDE, classes=10))
    optimizer = torch.optim.AdamW(model.parameters())
    images, labels = torch.randn(batch_size, 3, SIDE, SIDE), torch.randint(10, (batch_size,))
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times[1:])


def in_words(values: list[float], unit: str, digits: int = 0) -> str:
    """Median with the smallest and largest."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} {unit} ({low:,.{digits}f} to {high:,.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", default=[], help="parquet files or another data argument")
    parser.add_argument("--images", type=int, default=10_000, help="how many to make, or to take of --data")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1, help="of the main process, for both sides")
    parser.add_argument(
        "--model", default="eit_small_image", help="whose training step RandAugment is set against"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VITREOUS_HOME"] = folder  # so that decoding is not found done
        data = arguments.data or [str(made_up_images(Path(folder), arguments.images * 10 // 9))]
        measure(data, arguments)


def measure(data: list[str], arguments: argparse.Namespace) -> None:
    size, rounds = arguments.batch_size, arguments.rounds
    all_threads = torch.get_num_threads()
    torch.set_num_threads(arguments.threads)
    machine = describe_machine("cpu")
    print(machine)
    train = open_images(data, loading=Loading(limit=arguments.images)).splits["train"]
    begin = time.perf_counter()
    fit, _ = fit_preprocessing(train, channels=3, height=SIDE, width=SIDE, crop="pad")
    decoding_s = time.perf_counter() - begin
    made = make_batches(train, fit, batch_size=size, train=True, loading=Loading(path="resident"))
    augmentation = functools.partial(
        Augmentation,
        seed=0,
        size=(SIDE, SIDE),
        classes=10,
        preprocessing=fit,
        crop="pad",
        padding=PADDING,
        flip=True,
    )
    plain, random = augmentation(), augmentation(randaugment=1, randaugment_magnitude=5)
    steps = 4 * made.steps_per_epoch
    print(f"{len(train):,} images of {SIDE}×{SIDE}, batches of {size}; decoded once in {decoding_s:.1f} s")

    loaders = {f"prefetcher {on}": timm_loader(train, fit, size, prefetcher=on) for on in (True, False)}
    warm = {name: [images_per_second(iter(loader)) for _ in range(2)][1] for name, loader in loaders.items()}  # type: ignore[call-overload]
    best = max(warm, key=lambda name: warm[name])
    print(
        "timm, one epoch each: " + ", ".join(f"{name} {speed:,.0f} images/s" for name, speed in warm.items())
    )
    images_per_second(augmented(made, random, steps))
    theirs, ours, with_randaugment = [], [], []
    for _ in range(rounds):
        theirs.append(images_per_second(iter(loaders[best])))  # type: ignore[call-overload]
        ours.append(images_per_second(augmented(made, plain, steps)))
        with_randaugment.append(images_per_second(augmented(made, random, steps)))
    ratios = [mine / timms for mine, timms in zip(ours, theirs, strict=True)]
    extra_ms = [1000 * (1 / slow - 1 / fast) for slow, fast in zip(with_randaugment, ours, strict=True)]
    torch.set_num_threads(all_threads)
    model_ms = step_ms(arguments.model, size) / size
    extra = statistics.median(extra_ms)
    print(f"timm create_loader, {WORKERS} workers, {best}: {in_words(theirs, 'images/s')}")
    print(f"vitreous resident:                         {in_words(ours, 'images/s')}")
    print(f"ratio, median of {rounds} interleaved rounds:     {in_words(ratios, 'times', 1)}")
    print(f"with RandAugment (1 operation, magnitude 5): {in_words(with_randaugment, 'images/s')}")
    print(f"RandAugment adds {in_words(extra_ms, 'ms an image', 4)}: {extra:.1%} of a step of 1 ms an image,")
    print(
        f"  {extra / model_ms:.1%} of {arguments.model}'s step "
        f"(bf16, {all_threads} threads, {model_ms:.2f} ms an image)"
    )
    print(
        json.dumps(
            {
                "benchmark": "loading_speed",
                "machine": machine,
                "images": len(train),
                "batch_size": size,
                "rounds": rounds,
                "timm_images_s": round(statistics.median(theirs)),
                "resident_images_s": round(statistics.median(ours)),
                "ratio": round(statistics.median(ratios), 2),
                "ratio_low": round(min(ratios), 2),
                "ratio_high": round(max(ratios), 2),
                "randaugment_ms_per_image": round(extra, 5),
                "randaugment_share_of_1_ms": round(extra, 4),
                "randaugment_share_of_step": round(extra / model_ms, 4),
                "step_model": arguments.model,
                "step_ms_per_image": round(model_ms, 4),
            }
        )
    )


if __name__ == "__main__":
    main()
