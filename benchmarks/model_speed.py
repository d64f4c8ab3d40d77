"""How fast are our models beside other people's modules of the same architecture and weights?

For each named model this measures a forward pass (no gradients) and a training step (forward, mean square as
loss, backward; no optimizer) on random images: ours, and beside it a peer where there is one.

    deit_*   timm's VisionTransformer
    eit_*    the authors' released module, where `--authors` names its file (`eit_model.py` of MrHaiPi/EIT);
             without the file, ours alone

Both hold the same weights, and a first pass checks that they agree. Then they run in turn, `--pairs` times,
the order swapped each time, so that a busy machine slows both; the figure is the median over pairs of
(peer's time / ours), with its quartiles: above 1 we are faster. Warm-up is apart. The memory of a training
step is what is allocated at its peak, counted by torch, weights apart. `--cpu-time` runs on one thread and
counts the processor time of this process: use it on a machine that others use.

    python benchmarks/model_speed.py
    python benchmarks/model_speed.py --models eit_mini --authors ~/EIT/eit_model.py --dtype float32
    python benchmarks/model_speed.py --device cuda --batch-size 256 --dtype bfloat16 --compile

The last line is JSON.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
import types
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import timm.models.vision_transformer as timm_vit
import torch
from machine import describe_machine
from torch import Tensor, nn

from vitreous.interop.rename import load_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.deit import SIZES as DEIT_SIZES
from vitreous.models.deit import timm_names
from vitreous.models.eit import SIZES as EIT_SIZES
from vitreous.models.eit import authors_names


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["deit_tiny", "eit_mini"])
    parser.add_argument("--image-size", type=int, help="pixels a side; default: what each model is known at")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"], help="bfloat16: by autocast")
    parser.add_argument("--compile", action="store_true", help="torch.compile for both")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--cpu-time", action="store_true", help="one thread, processor time of this process")
    parser.add_argument("--authors", type=Path, help="the released eit_model.py, to measure EIT against")
    settings = parser.parse_args()
    if settings.cpu_time:
        torch.set_num_threads(1)
    machine = describe_machine(settings.device)
    print(
        f"{machine}\nbatch {settings.batch_size}, {settings.pairs} pairs{', compiled' * settings.compile}\n"
    )
    print(f"{'model':<17}{'type':<10}{'what':<10}{'ours ms':>9}{'img/s':>8}{'peer ms':>9}{'peer / ours':>23}")
    rows = []
    for name in settings.models:
        described = config(name, image_size=settings.image_size)
        ours, peer, peer_name = contenders(described, settings.authors)
        models = [model.to(settings.device) for model in (ours, peer) if model is not None]
        for dtype in settings.dtype:
            for training in (False, True):
                row = measure(models, described, dtype, training, settings)
                rows.append({"model": name, "peer": peer_name, "dtype": dtype, "training": training} | row)
                show(rows[-1])
    print(json.dumps({"machine": machine, "batch_size": settings.batch_size, "rows": rows}))


def contenders(described: VisionTransformer, authors: Path | None) -> tuple[nn.Module, nn.Module | None, str]:
    """Our model, a peer with the same weights where there is one, and the peer's name."""
    ours = build(described)
    family, _, size = described.name.partition("_")
    image = described.image
    if family == "deit":
        sizes = DEIT_SIZES[size]
        peer: nn.Module = timm_vit.VisionTransformer(
            img_size=(image.height, image.width),
            embed_dim=sizes["width"],
            depth=sizes["depth"],
            num_heads=sizes["heads"],
        )
        load_theirs(ours, peer.state_dict(), timm_names(described))
        return ours, peer, "timm"
    if family == "eit" and authors is not None:
        sizes = EIT_SIZES[size]
        with contextlib.redirect_stdout(io.StringIO()):  # it prints while it is built
            peer = released(authors).EIT(
                img_size=image.height,
                kernel_size=sizes["kernel"],
                stride_size=sizes["stride"],
                pool_size=sizes["pool"],
                embed_dim=sizes["width"],
                depth=sizes["depth"],
                num_heads=sizes["heads"],
                drop_ratio=0.0,
                attn_drop_ratio=0.0,
                drop_path_ratio=0.0,
            )
        load_theirs(ours, peer.state_dict(), authors_names(described))
        return ours, peer, "authors"
    return ours, None, ""


def released(file: Path) -> Any:
    """The authors' module; it imports apex without using it, and einops for three reshapes."""
    for name, attribute in (("apex", "amp"), ("einops", "rearrange")):
        try:
            __import__(name)
        except ImportError:
            stand_in = types.ModuleType(name)
            setattr(stand_in, attribute, rearrange)
            sys.modules[name] = stand_in
    spec = spec_from_file_location("released_eit", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rearrange(x: Tensor, pattern: str, **sizes: int) -> Tensor:
    """The three patterns of einops that the released module uses, done as einops does them."""
    if pattern == "B C H W -> B (H W) C":
        return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, x.shape[1])
    if pattern == "B (H W) C -> B C H W":
        return x.reshape(x.shape[0], sizes["H"], -1, x.shape[2]).permute(0, 3, 1, 2)
    if pattern == "B C -> B 1 C":
        return x.unsqueeze(1)
    raise ValueError(pattern)


def measure(
    models: list[nn.Module],
    described: VisionTransformer,
    dtype: str,
    training: bool,
    settings: argparse.Namespace,
) -> dict[str, Any]:
    """Times in milliseconds, the ratio of each pair, and the peak memory of a training step."""
    image = described.image
    images = torch.randn(
        settings.batch_size, image.channels, image.height, image.width, device=settings.device
    )
    rough = torch.autocast(settings.device, torch.bfloat16, enabled=dtype == "bfloat16")
    runs = [torch.compile(model) if settings.compile else model for model in models]

    def step(run: Any, model: nn.Module) -> None:
        model.zero_grad()
        with rough, torch.set_grad_enabled(training):
            loss = run(images).float().square().mean()
        if training:
            loss.backward()

    def timed(run: Any, model: nn.Module) -> float:
        clock = time.process_time if settings.cpu_time else time.perf_counter
        synchronize(settings.device)
        begun = clock()
        step(run, model)
        synchronize(settings.device)
        return (clock() - begun) * 1000

    if len(models) == 2:
        with torch.no_grad():
            torch.testing.assert_close(models[0](images), models[1](images), atol=1e-3, rtol=1e-3)
    for run, model in zip(runs, models, strict=True):
        for _ in range(2):
            step(run, model)
    times: list[list[float]] = [[] for _ in models]
    for number in range(settings.pairs):
        order = list(range(len(models)))
        for which in order[::-1] if number % 2 else order:
            times[which].append(timed(runs[which], models[which]))
    row: dict[str, Any] = {"ours_ms": round(statistics.median(times[0]), 2)}
    row["images_per_second"] = round(settings.batch_size * 1000 / row["ours_ms"], 1)
    if len(models) == 2:
        ratios = [peer / ours for ours, peer in zip(*times, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        row |= {"peer_ms": round(statistics.median(times[1]), 2), "ratio": round(median, 3)}
        row |= {"quartiles": [round(low, 3), round(high, 3)]}
    if training:
        row["peak_mib"] = [
            round(peak_bytes(step, *each) / 2**20, 1) for each in zip(runs, models, strict=True)
        ]
    return row


def peak_bytes(step: Any, run: Any, model: nn.Module) -> int:
    """What one training step allocates at its peak beyond weights and images."""
    if next(model.parameters()).is_cuda:
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(run, model)
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    model.zero_grad()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as watched:
        step(run, model)
    results = watched.profiler.kineto_results  # type: ignore[union-attr]
    changes = [(each.start_ns(), each.nbytes()) for each in results.events() if each.name() == "[memory]"]
    held, peak = 0, 0
    for _, change in sorted(changes, key=lambda each: each[0]):
        held += change
        peak = max(peak, held)
    return peak


def synchronize(device: str) -> None:
    """Waits for the GPU, where there is one."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def show(row: dict[str, Any]) -> None:
    """One line of the table."""
    what = "training" if row["training"] else "forward"
    line = f"{row['model']:<17}{row['dtype']:<10}{what:<10}"
    line += f"{row['ours_ms']:>9.1f}{row['images_per_second']:>8.1f}"
    if "ratio" in row:
        low, high = row["quartiles"]
        line += f"{row['peer_ms']:>9.1f}{row['ratio']:>9.3f} ({low:.3f}-{high:.3f})  {row['peer']}"
    if "peak_mib" in row:
        line += f"   peak MiB {' / '.join(map(str, row['peak_mib']))}"
    print(line, flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
