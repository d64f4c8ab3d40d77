"""Which attention kernel is fastest here? The measurements behind `vitreous/parts/attention_kernel.py`.

Three ways to the same values: torch's fused kernel; the fused kernel on heads padded with zeros to a handier
width; and the explicit softmax(q · kᵀ / √d) · v. For each head width and number of tokens, with and without
gradients, the kernels run in turn, round after round, so that a busy machine slows all alike. The table
shows the median time of the fused kernel and the others' times as shares of it (below 1 is faster); the
rule's own choice is marked with a star. Warm-up is apart. With `--cpu-time` on one thread the clock counts
the process alone: use it where others work too.

    python benchmarks/attention_kernels.py
    python benchmarks/attention_kernels.py --device cuda --dtype bfloat16
    python benchmarks/attention_kernels.py --tokens 65 362 --widths 10 32

The last line is JSON.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from vitreous.parts.attention_kernel import KERNELS, choose

WIDTHS = (2, 4, 5, 7, 8, 10, 12, 15, 16, 17, 20, 24, 25, 32, 33, 64)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--tokens", nargs="+", type=int, default=[65, 197, 362])
    parser.add_argument("--widths", nargs="+", type=int, default=list(WIDTHS))
    parser.add_argument("--batch-heads", type=int, default=16, help="images × heads")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true", help="one thread, processor time of this process")
    settings = parser.parse_args()
    if settings.cpu_time:
        torch.set_num_threads(1)
    where = (
        torch.cuda.get_device_name()
        if settings.device == "cuda"
        else platform.processor() or platform.machine()
    )
    threads = f", {torch.get_num_threads()} threads" if settings.device == "cpu" else ""
    print(f"{where}{threads}, torch {torch.__version__}, {settings.batch_heads} images × heads")
    rows = []
    for dtype in settings.dtype:
        for gradients in (False, True):
            print(f"\n{dtype}, forward{' + backward' if gradients else ''}")
            print(
                f"{'tokens':>7}{'width':>6}{'fused ms':>10}"
                + "".join(f"{name:>10}" for name in list(KERNELS)[1:])
            )
            for tokens in settings.tokens:
                for width in settings.widths:
                    rows.append(measure(settings, dtype, tokens, width, gradients))
                    show(rows[-1])
    print(json.dumps({"device": where, "torch": torch.__version__, "rows": rows}))


def measure(
    settings: argparse.Namespace, dtype: str, tokens: int, width: int, gradients: bool
) -> dict[str, object]:
    """Median milliseconds of each kernel, interleaved."""
    kind = getattr(torch, dtype)
    qkv = torch.randn(1, tokens, 3, settings.batch_heads, width, dtype=kind, device=settings.device)
    direction = torch.randn(1, settings.batch_heads, tokens, width, dtype=kind, device=settings.device)
    q, k, v = (each.transpose(1, 2).requires_grad_(gradients) for each in qkv.unbind(2))

    def run(kernel: Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor]) -> float:
        clock = time.process_time if settings.cpu_time else time.perf_counter
        if settings.device == "cuda":
            torch.cuda.synchronize()
        begun = clock()
        mixed = kernel(q, k, v, None, 0.0)
        if gradients:
            torch.autograd.grad(mixed, (q, k, v), direction)
        if settings.device == "cuda":
            torch.cuda.synchronize()
        return (clock() - begun) * 1000

    times: dict[str, list[float]] = {name: [] for name in KERNELS}
    for number in range(settings.rounds + 2):
        for name, kernel in KERNELS.items():
            taken = run(kernel)
            if number >= 2:
                times[name].append(taken)
    chosen = choose(settings.device, kind, tokens, width, gradients)
    row: dict[str, object] = {"dtype": dtype, "gradients": gradients, "tokens": tokens, "width": width}
    row |= {f"{name}_ms": round(statistics.median(each), 4) for name, each in times.items()}
    return row | {"chosen": chosen}


def show(row: dict[str, object]) -> None:
    """One line of the table."""
    fused = float(str(row["fused_ms"]))
    line = f"{row['tokens']:>7}{row['width']:>6}{fused:>9.3f}{'*' if row['chosen'] == 'fused' else ' '}"
    for name in list(KERNELS)[1:]:
        share = float(str(row[f"{name}_ms"])) / fused
        line += f"{share:>9.2f}{'*' if row['chosen'] == name else ' '}"
    print(line, flush=True)


if __name__ == "__main__":
    with torch.random.fork_rng():
        torch.manual_seed(0)
        main()
