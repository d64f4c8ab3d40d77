"""A peer trained for a given time on the data path of vitreous, and read once on the test images.

Reading, batches, shifts and normalisation are those of `vitreous train`, bfloat16 is torch's autocast, and
freed memory is kept in the same way; the network, its optimizer, label smoothing and flips are the peer's
own. The learning rate is a function of the share of the time that has passed (warm-up, then a straight line
to zero for `fast_cnn`, a cosine for `resnet18` and timm's `vit_tiny`), so the schedule ends where the time
ends. All see square images of the data's own size in three channels.

    python benchmarks/train_peer.py fast_cnn --data train.parquet --test test.parquet --time 28m --seed 0

The last line is one JSON object.
"""

import argparse
import json
import math
import time

import torch
import torch.nn.functional as F
from peers import fast_cnn, resnet18, vit_tiny
from torch import Tensor, nn

from vitreous.data.batches import make_batches
from vitreous.data.crop import shifted
from vitreous.data.images import ImageSplit, open_images
from vitreous.data.loading import Loading
from vitreous.data.statistics import fit_preprocessing
from vitreous.data.streams import stream_seed
from vitreous.errors import DataError
from vitreous.training.allocator import memory_kept
from vitreous.training.machine import look_at_machine
from vitreous.training.time_budget import parse_time
from vitreous.training.validation import validate

PEERS = (*fast_cnn.WIDTHS, "resnet18", "vit_tiny")


def schedule(share: float, warmup: float, shape: str) -> float:
    """The rate as a share of its peak when `share` of the time has passed."""
    if share < warmup:
        return share / warmup
    rest = min(1.0, (share - warmup) / (1 - warmup))
    return 1 - rest if shape == "linear" else (1 + math.cos(math.pi * rest)) / 2


def open_test_images(test: list[str], classes: tuple[str, ...], loading: Loading) -> ImageSplit:
    """The images that are read once; some data sets call them validation."""
    try:
        return open_images(test, loading=loading, classes=classes, need=("test",)).splits["test"]
    except DataError:
        return open_images(test, loading=loading, classes=classes, need=("val",)).splits["val"]


def multiplications(model: nn.Module, side: int) -> int:
    """Multiply-accumulates of one image."""
    from torch.utils.flop_counter import FlopCounterMode

    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, side, side))
    return int(counter.get_total_flops()) // 2


def main() -> None:
    begun = time.perf_counter()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--time", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--val-share", type=float, default=0.02)
    arguments = parser.parse_args()
    budget_s = parse_time(arguments.time)

    loading = Loading(path="resident", val_share=arguments.val_share)
    data = open_images(arguments.data, loading=loading, seed=arguments.seed, need=("train", "val"))
    split, classes = data.splits["train"], len(data.classes)
    side = min(data.scan.heights[1], data.scan.widths[1])
    preprocessing, _ = fit_preprocessing(
        split, channels=3, height=side, width=side, crop="pad", loading=loading
    )
    torch.manual_seed(stream_seed(arguments.seed, "init"))
    if arguments.peer in fast_cnn.WIDTHS:
        module, model = fast_cnn, fast_cnn.make_model(classes, side, arguments.peer)
    else:
        module = vit_tiny if arguments.peer == "vit_tiny" else resnet18
        model = module.make_model(classes, side)
    batches = make_batches(
        split, preprocessing, batch_size=module.BATCH, seed=arguments.seed, loading=loading, train=True
    )
    if isinstance(model, fast_cnn.FastCNN):
        some = torch.cat([batch.images for batch, _ in zip(batches.from_step(0), range(8), strict=False)])
        model.whiten_from(preprocessing.normalize(some))
    optimizer = module.make_optimizer(model)
    peaks = [group["lr"] for group in optimizer.param_groups]
    shape = "linear" if module is fast_cnn else "cosine"
    clip_norm = getattr(module, "CLIP_NORM", math.inf)
    padding = side // 8
    precision = "bfloat16" if look_at_machine().cpu_bfloat16 else "float32"
    generator = torch.Generator().manual_seed(stream_seed(arguments.seed, "augment"))
    first_flips = torch.rand(len(split), generator=generator) < 0.5

    def flips(index: Tensor, epoch: int) -> Tensor:
        if module is not fast_cnn:
            return torch.rand(len(index), generator=generator) < 0.5
        return first_flips[index] ^ bool(epoch % 2)

    model.train()
    with memory_kept():
        step = 0
        for batch in batches.from_step(0):
            share = (time.perf_counter() - begun) / budget_s
            if share >= 1:
                break
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * schedule(share, module.WARMUP, shape)
            offsets = torch.randint(2 * padding + 1, (2, len(batch.labels)), generator=generator)
            mirrored = flips(batch.rows, step // batches.steps_per_epoch)
            images = shifted(batch.images, offsets[0], offsets[1], mirrored, padding)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                logits = model(preprocessing.normalize(images))
            loss = F.cross_entropy(logits.float(), batch.labels, label_smoothing=module.LABEL_SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if clip_norm < math.inf:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            step += 1
            if step % 50 == 0:
                print(f"step {step}  loss {loss.item():.3f}  {100 * share:.0f} % of the time", flush=True)
        trained_s = time.perf_counter() - begun

        tested = open_test_images(arguments.test, data.classes, loading)
        test_batches = make_batches(tested, preprocessing, batch_size=500, loading=loading, train=False)
        found = validate(model, test_batches.all(), preprocessing, precision=precision)
    record = {
        "test_top1": found["top1"],
        "epochs": step / batches.steps_per_epoch,
        "img_s": step * module.BATCH / trained_s,
        "parameters": sum(each.numel() for each in model.parameters()),
        "macs": multiplications(model, side),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
