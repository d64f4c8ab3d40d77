"""Images per second of whole training loops on the same model, data and augmentation, in one process.

    ours       `vitreous train` as `auto` runs half an hour (--time), but for the recipe: resident uint8
               images, augmentation of whole batches, bfloat16 where the processor has it, kernels by rule,
               compiled where that pays
    timm       in the style of timm's `train.py` on a CPU: its loader and prefetcher with worker processes,
               transforms image by image, Mixup, AdamW and average of the weights, float32
    authors    in the style of DeiT's `engine.py`, which EIT, SReT and LaPE train with: torch's DataLoader
               over timm's transforms, a loss that is read and checked every step, timm's average, float32

Both others are written from descriptions. All three have shifts by 4 pixels, flips, one RandAugment
operation of magnitude 5, mixup 0.2 or cutmix 1 on half of the batches, label smoothing 0.1, AdamW, and a
weight average every step. All three train the module that vitreous builds, whose attention takes the kernel
that is fastest for the type. The others get their images as torchvision's CIFAR-10 holds them, decoded in
memory.

Rounds of the loops alternate; before each round there is a pause in which worker processes fill their
queues, so the others begin every round with some batches made for free. A ratio is taken in each round;
median and quartiles are printed.

    python benchmarks/training_loops.py --data cifar10-train.parquet [--models hybrid_1m vit_small_image]

The last line is one JSON object; --keep NAME writes both to benchmarks/results/.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from kept import tell
from machine import describe_machine
from PIL import Image
from timm.data import Mixup, create_loader, create_transform  # type: ignore[attr-defined]
from timm.loss import SoftTargetCrossEntropy  # type: ignore[attr-defined]
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.utils import AverageMeter, ModelEmaV2, ModelEmaV3  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from vitreous.data.images import ImageData, open_images
from vitreous.data.loading import Loading
from vitreous.models.vision_transformer import build
from vitreous.training.allocator import memory_kept
from vitreous.training.assemble import make_augmentation, make_model, make_step, make_train_batches
from vitreous.training.decide import decide
from vitreous.training.plan import Plan
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings

DECAY = 0.999
PAUSE_S = 2.0
Steps = Callable[[int], None]


class InMemory(Dataset[tuple[Any, int]]):
    """Decoded images, each through a transform when it is asked for, as torchvision's CIFAR-10."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images = images
        self.labels = labels
        self.transform: Callable[[Image.Image], Any] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.images[index])
        return self.transform(image) if self.transform else image, int(self.labels[index])


def endless(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def ours(plan: Plan, data: ImageData, loading: Loading) -> Steps:
    """The loop of `training/loop.py` without its log lines."""
    model, forward = make_model(plan)
    trainee = make_step(plan, model, forward)
    augment = make_augmentation(plan)
    batches = make_train_batches(plan, data, loading).from_step(0)
    done = 0

    def steps(count: int) -> None:
        nonlocal done
        with memory_kept():
            for _ in range(count):
                shown = trainee.objective.show(next(batches), augment, done)
                trainee.backward(shown, done).tolist()
                trainee.update()
                done += 1

    return steps


def shift_first(transform: Any, size: int) -> Any:
    """DeiT's rule for images of up to 32 pixels: a shift in place of the resized crop."""
    transform.transforms[0] = transforms.RandomCrop(size, padding=4)
    return transform


def timm_style(plan: Plan, held: InMemory, workers: int) -> Steps:
    """Loader, prefetcher, mixup, optimizer and average are timm's own."""
    size = plan.config.image.height
    loader = create_loader(
        held,  # type: ignore[arg-type]
        input_size=(3, size, size),
        batch_size=plan.batch_size,
        is_training=True,
        color_jitter=0.0,
        auto_augment="rand-m5-n1",
        num_workers=workers,
        device=torch.device("cpu"),
        use_prefetcher=True,
    )
    shift_first(held.transform, size)
    model = build(plan.config)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=plan.lr, weight_decay=0.05)
    average = ModelEmaV3(model, decay=DECAY)
    mix = make_mixup(len(plan.classes))
    criterion, meter = SoftTargetCrossEntropy(), AverageMeter()
    batches, done = endless(loader), 0
    model.train()

    def steps(count: int) -> None:
        nonlocal done
        for _ in range(count):
            images, labels = next(batches)
            images, targets = mix(images, labels)
            loss = criterion(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            done += 1
            average.update(model, step=done)
            if done % 50 == 0:
                meter.update(loss.item(), len(images))

    return steps


def authors_style(plan: Plan, held: InMemory, workers: int) -> Steps:
    """torch's DataLoader, and an engine that reads its loss every step."""
    size = plan.config.image.height
    held.transform = shift_first(
        create_transform((3, size, size), is_training=True, color_jitter=0.0, auto_augment="rand-m5-n1"), size
    )
    loader: DataLoader[Any] = DataLoader(
        held,
        sampler=RandomSampler(held),
        batch_size=plan.batch_size,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
    )
    model = build(plan.config)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=plan.lr, weight_decay=0.05)
    average = ModelEmaV2(model, decay=DECAY)
    mix = make_mixup(len(plan.classes))
    criterion = SoftTargetCrossEntropy()
    batches = endless(loader)
    losses: list[float] = []

    def steps(count: int) -> None:
        model.train()
        for _ in range(count):
            images, labels = next(batches)
            images, targets = mix(images, labels)
            loss = criterion(model(images), targets)
            value = loss.item()
            assert math.isfinite(value)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            average.update(model)
            losses.append(value)

    return steps


def make_mixup(classes: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """timm's, with our default strengths."""
    return Mixup(mixup_alpha=0.2, cutmix_alpha=1.0, prob=0.5, label_smoothing=0.1, num_classes=classes)


def measure(model: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Images per second of each loop, round by round."""
    loading = Loading(path="resident", limit=arguments.images)
    settings = TrainSettings(
        data=arguments.data,
        model=model,
        batch_size=arguments.batch_size,
        recipe=Recipe(optimizer="adamw", mix_probability=0.5, erasing=0.0),  # what the others do
        loading=loading,
    )
    data = open_images(settings.data, loading=loading, seed=0)
    compiled = decide(replace(settings, time=arguments.time), data).compiled
    plan = decide(replace(settings, compile=compiled), data)
    split = data.splits["train"]
    pixels = np.stack([np.asarray(split.image(index)) for index in range(len(split))])
    loops = {
        "ours": ours(plan, data, loading),
        "timm": timm_style(plan, InMemory(pixels, split.labels), arguments.workers),
        "authors": authors_style(plan, InMemory(pixels, split.labels), arguments.workers),
    }
    for steps in loops.values():
        steps(3)
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(arguments.rounds):
        for name, steps in loops.items():
            time.sleep(PAUSE_S)
            begun = time.perf_counter()
            steps(arguments.steps)
            rates[name].append(arguments.steps * plan.batch_size / (time.perf_counter() - begun))
    return {
        "model": plan.config.name,
        "precision": plan.precision,
        "compiled": plan.compiled,
        "batch": plan.batch_size,
        "img_s": rates,
    }


def row(found: dict[str, Any]) -> str:
    """One line of the table."""
    rates = found["img_s"]
    cells = [f"{statistics.median(rates[name]):.0f}" for name in rates]
    for name in ("timm", "authors"):
        ratios = [mine / theirs for mine, theirs in zip(rates["ours"], rates[name], strict=True)]
        quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
        cells.append(f"**{quarters[1]:.2f} ×** ({quarters[0]:.2f} to {quarters[2]:.2f})")
    how = f"{found['precision']}{', compiled' if found['compiled'] else ''}, batch {found['batch']}"
    return f"| `{found['model']}`, {how} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, help="small training images, such as CIFAR-10's")
    parser.add_argument(
        "--models", nargs="+", default=["hybrid_1m", "psvit_2d_small_image", "vit_small_image"]
    )
    parser.add_argument("--images", type=int, default=10_000, help="how many of them are used")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--time", default="30m", help="length of the run that `auto` decides for")
    parser.add_argument("--steps", type=int, default=20, help="in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2, help="worker processes of the other loops")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md and NAME.json")
    arguments = parser.parse_args()
    found = []
    for model in arguments.models:
        found.append(measure(model, arguments))
        print(row(found[-1]), flush=True)
    head = "| model | ours, img/s | timm's style | authors' style | ours / timm's | ours / authors' |"
    text = "\n".join([f"{describe_machine()}.", "", head, "|---|---|---|---|---|---|", *map(row, found), ""])
    record = {"benchmark": "training_loops", "machine": describe_machine(), "found": found}
    tell(text, record, arguments.keep)


if __name__ == "__main__":
    main()
