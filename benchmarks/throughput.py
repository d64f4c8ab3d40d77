"""How fast is each model, and how fast beside a peer of the same architecture and weights?

Each contestant is measured in a forward pass (no gradients) and in a training step (forward, mean square as
loss, backward; no optimizer) on random images. All contestants and the reference run in turn, round after
round, the order turned each time, so that a busy machine slows all alike. Figures are medians over rounds;
the ratio is the median over rounds of (reference's time / contestant's) with its quartiles: above 1 the
contestant is faster. Warm-up is apart. The memory of a training step is what is allocated at its peak,
counted by torch, weights apart. `--cpu-time` runs on one thread and counts the processor time of this
process: for a machine that others use.

    contestant   a catalog name or a JSON file, and after colons what is done with it:
                 fold, bfloat16 (autocast), auto (the precision that training would choose), compile,
                 checkpoint (gradient checkpointing), switches as name=value
    reference    --against: a contestant, timm/NAME, or FILE.py:EXPRESSION, any module's constructor

Where the catalog knows the reference's names for the weights, both hold the same weights and a first pass
checks that they agree.

    python benchmarks/throughput.py deit_tiny --against timm/deit_tiny_patch16_224
    python benchmarks/throughput.py eit_mini eit_mini:auto eit_mini:auto:compile --batch-sizes 1 8 32 \\
        --against '~/EIT/eit_model.py:EIT(img_size=224, kernel_size=16, stride_size=4, pool_size=3, ...)'
    python benchmarks/throughput.py deit_tiny_lape deit_tiny_lape:fold --against deit_tiny
    python benchmarks/throughput.py sret_tiny:image_size=384 --against sret_tiny_unsliced:image_size=384

The released files need einops; what they import from places that timm has since left is put back for them.
The last line is JSON.
"""

import argparse
import ast
import contextlib
import io
import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import timm
import timm.layers
import torch
from machine import describe_machine
from torch import Tensor, nn

import vitreous as vt
from vitreous.interop.rename import load_theirs
from vitreous.models import VisionTransformer, build, from_json
from vitreous.models.catalog import look_up
from vitreous.training.automatic import Reasons, choose_precision
from vitreous.training.machine import look_at_machine
from vitreous.training.settings import TrainSettings


@dataclass
class Contestant:
    """One model as it is run."""

    spec: str
    model: nn.Module
    described: Any  # a VisionTransformer, None for other people's modules
    bfloat16: bool
    compiled: bool
    macs: int | None
    run: Callable[[Tensor], Tensor]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("contestants", nargs="+")
    parser.add_argument("--against", help="the reference; default: the first contestant")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warm-up", type=int, default=2, help="rounds before the first that counts")
    parser.add_argument("--forward-only", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, processor time of this process")
    settings = parser.parse_args()
    if settings.cpu_time:
        torch.set_num_threads(1)
    machine = describe_machine(settings.device)
    print(f"{machine}\n{settings.rounds} rounds, medians; reference / contestant with quartiles\n")
    contestants = [prepare(spec, settings.device) for spec in settings.contestants]
    image = contestants[0].described.image
    if settings.against:
        contestants.append(reference(settings.against, contestants, settings.device))
    title = f"{'contestant':<34}{'batch':>6} {'what':<9}{'ms':>9}{'img/s':>9}{'GMAC/s':>8}"
    print(title + f"{'ratio':>9} {'quartiles':<15}{'peak MiB':>10}")
    rows = []
    for batch in settings.batch_sizes:
        images = torch.randn(batch, image.channels, image.height, image.width, device=settings.device)
        for training in (False,) if settings.forward_only else (False, True):
            for row in contest(contestants, images, training, settings):
                rows.append(row)
                show(row)
    print(json.dumps({"machine": machine, "rounds": settings.rounds, "rows": rows}))


def prepare(spec: str, device: str) -> Contestant:
    """A model of ours from its name or file and what is done with it."""
    name, *options = spec.split(":")
    switches = dict(each.split("=", 1) for each in options if "=" in each)
    done = {each for each in options if "=" not in each}
    if unknown := done - {"fold", "bfloat16", "auto", "compile", "checkpoint", "float32"}:
        raise SystemExit(f"{spec}: {', '.join(sorted(unknown))} is unknown; see --help")
    if Path(name).exists():
        described = from_json(json.loads(Path(name).read_text()))
    else:
        described = vt.config(name, **{key: literal(value) for key, value in switches.items()})
    torch.manual_seed(0)
    model: nn.Module = build(described)
    if "fold" in done:
        model = vt.fold(model.eval())
    if "checkpoint" in done:
        model.set_grad_checkpointing(True)  # type: ignore[operator]
    rough = "bfloat16" in done or ("auto" in done and automatic_precision(device) == "bfloat16")
    compiled = "compile" in done
    macs = vt.cost(described).macs
    model = model.to(device)
    run = torch.compile(model) if compiled else model
    return Contestant(spec, model, described, rough, compiled, macs, run)


def literal(value: str) -> Any:
    """A switch's value as Python writes it; anything else is a text."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def automatic_precision(device: str) -> str:
    """What `vitreous train` would choose on this machine."""
    return choose_precision(TrainSettings(), device, look_at_machine(), Reasons())


def reference(spec: str, contestants: list[Contestant], device: str) -> Contestant:
    """The peer, with the first contestant's weights where their names are known."""
    if not spec.startswith("timm/") and ".py:" not in spec:
        return prepare(spec, device)
    torch.manual_seed(0)
    if spec.startswith("timm/"):
        peer: nn.Module = timm.create_model(spec.removeprefix("timm/"))
    else:
        file, _, expression = spec.partition(".py:")
        with contextlib.redirect_stdout(io.StringIO()):  # some print while they are built
            peer = eval(expression, vars(released(Path(f"{file}.py").expanduser())))
    peer = peer.to(device)
    described = contestants[0].described
    names = look_up(described.name)[1].names if described.name else None
    if names is not None:
        for each in contestants:
            if ":fold" not in each.spec and each.described == described:
                load_theirs(each.model, peer.state_dict(), names(described))
        check(contestants[0].model, peer, described, device)
    return Contestant(spec.rsplit("/", 1)[-1][:32], peer, None, False, False, None, peer)


def check(ours: nn.Module, peer: nn.Module, described: VisionTransformer, device: str) -> None:
    """Both give the same logits; raises AssertionError where they do not."""
    image = described.image
    images = torch.randn(2, image.channels, image.height, image.width, device=device)
    states = [model.training for model in (ours, peer)]
    with torch.no_grad():
        first, second = ours.eval()(images), peer.eval()(images)
    for model, state in zip((ours, peer), states, strict=True):
        model.train(state)
    # Random orders of tokens in evaluation, as SReT's released code draws them, change logits by a little.
    torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-2)


def released(file: Path) -> types.ModuleType:
    """The authors' module, with what has moved since where it looks for it."""
    moved = types.ModuleType("timm.models.registry")
    moved.register_model = lambda function: function  # type: ignore[attr-defined]
    sys.modules.setdefault("timm.models.registry", moved)
    sys.modules["timm.models.layers"] = timm.layers
    apex = types.ModuleType("apex")
    apex.amp = None  # type: ignore[attr-defined]
    sys.modules.setdefault("apex", apex)
    sys.path.insert(0, str(file.parent))
    spec = spec_from_file_location(f"released_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contest(
    contestants: list[Contestant], images: Tensor, training: bool, settings: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row a contestant: times in milliseconds, ratios to the reference, peak memory in training."""
    able = [each for each in contestants if not (training and ":fold" in each.spec)]
    clock = time.process_time if settings.cpu_time else time.perf_counter

    def step(each: Contestant) -> None:
        each.model.train(training)
        each.model.zero_grad()
        with (
            torch.autocast(settings.device, torch.bfloat16, enabled=each.bfloat16),
            torch.set_grad_enabled(training),
        ):
            loss = each.run(images).float().square().mean()
        if training:
            loss.backward()

    def timed(each: Contestant) -> float:
        synchronize(settings.device)
        begun = clock()
        step(each)
        synchronize(settings.device)
        return (clock() - begun) * 1000

    for each in able:
        for _ in range(settings.warm_up):
            step(each)
    times: list[list[float]] = [[] for _ in able]
    for number in range(settings.rounds):
        for which in sorted(range(len(able)), key=lambda which: (which + number) % len(able)):
            times[which].append(timed(able[which]))
    base = times[-1 if settings.against else 0]
    rows = []
    for each, taken in zip(able, times, strict=True):
        median = statistics.median(taken)
        low, ratio, high = statistics.quantiles([b / t for b, t in zip(base, taken, strict=True)], n=4)
        row = {
            "contestant": each.spec,
            "batch": len(images),
            "training": training,
            "ms": round(median, 2),
            "images_per_second": round(len(images) * 1000 / median, 1),
            "ratio": round(ratio, 3),
            "quartiles": [round(low, 3), round(high, 3)],
        }
        if each.macs is not None:
            passes = 3 if training else 1  # a training step multiplies three times what a forward pass does
            row["gmacs_per_second"] = round(each.macs * len(images) * passes / median / 1e6, 1)
        if training:
            row["peak_mib"] = round(peak_bytes(step, each) / 2**20, 1)
        rows.append(row)
    return rows


def peak_bytes(step: Callable[[Contestant], None], each: Contestant) -> int:
    """What one training step allocates at its peak beyond weights and images."""
    if next(each.model.parameters()).is_cuda:
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(each)
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    each.model.zero_grad()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as watched:
        step(each)
    results = watched.profiler.kineto_results  # type: ignore[union-attr]
    changes = [(event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]"]
    held, peak = 0, 0
    for _, change in sorted(changes, key=lambda change: change[0]):
        held += change
        peak = max(peak, held)
    return peak


def synchronize(device: str) -> None:
    """Waits for the GPU, where there is one."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def show(row: dict[str, Any]) -> None:
    """One line of the table."""
    low, high = row["quartiles"]
    line = f"{row['contestant']:<34}{row['batch']:>6} {'training' if row['training'] else 'forward':<9}"
    line += f"{row['ms']:>9.1f}{row['images_per_second']:>9.1f}{row.get('gmacs_per_second', ''):>8}"
    line += f"{row['ratio']:>9.3f} {f'({low:.3f}-{high:.3f})':<15}{row.get('peak_mib', ''):>10}"
    print(line, flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
