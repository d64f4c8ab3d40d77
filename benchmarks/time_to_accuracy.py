"""Time to accuracy: test accuracy after so many minutes on so many cores, everything included.

Each run is a fresh process with an empty cache, and its time is that of the clock from its start to its end:
starting Python, reading and decoding the images, measuring a step, training, validation, checkpoints, the
delivered model, and evaluation on the test images. Rows:

    hybrid_1m, hybrid_3m        `vitreous train` and `vitreous evaluate` with examples/speedrun.yaml
    MODEL                       any other model, by name or FILE.json, under the same recipe
    MODEL+RECIPE                a model under another recipe, by name or FILE.yaml
    default                     what `vitreous train` does when it is given data and time alone
    fast_cnn, fast_cnn_small    the small CNN of arXiv 2404.00498, written from its description (`peers/`)
    resnet18                    under its own SGD recipe
    vit_tiny                    timm's, with AdamW

All rows but `default`, which holds out a tenth, train on 98 % of the training images (2 % are held out; the
vitreous rows choose between weights and their average on them), in bfloat16 where the processor has it, on
the same data path. The test images are read once, at the end, in one view. Training gets the minutes less a
reserve for what comes after it; a run that takes longer than its minutes all the same is marked with `!`.

    python benchmarks/time_to_accuracy.py --data cifar10-train.parquet --test cifar10-test.parquet \\
        --minutes 30 --threads 2 --seeds 0 1 2

Runs are kept in --out: what is finished is not run again, and an interrupted vitreous run goes on, so seeds
and rows can be run in pieces (--rows, --seeds). The last line is one JSON object; --keep NAME writes both to
benchmarks/results/, with the runs that NAME.json holds already, so that a table may grow over days.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from kept import kept_before, once, tell
from small_data import passes

HERE = Path(__file__).parent
SPEEDRUN = HERE.parent / "examples" / "speedrun.yaml"
OURS = ("hybrid_1m", "hybrid_3m")
PEERS = ("fast_cnn", "fast_cnn_small", "resnet18", "vit_tiny")
RESERVE_S = 60.0  # evaluation on 10,000 images, two starts of Python, a margin


def reserve(minutes: float) -> float:
    """Seconds kept back for what comes after training."""
    return min(RESERVE_S, 8 * minutes)


def run(row: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One run from start to end."""
    folder = folder_of(row, seed, arguments)
    folder.mkdir(parents=True, exist_ok=True)
    time_s = f"{60 * arguments.minutes - reserve(arguments.minutes):.0f}s"
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads), "VITREOUS_HOME": str(cache)}
    begun = time.perf_counter()
    if row in PEERS:
        found = train_peer(row, seed, time_s, arguments, environment)
    else:
        found = train_ours(row, seed, time_s, arguments, environment, folder / "run")
    wall_s = time.perf_counter() - begun + found.pop("earlier_s", 0.0)
    shutil.rmtree(cache, ignore_errors=True)
    return {
        "row": row,
        "seed": seed,
        "wall_s": round(wall_s, 1),
        **found,
        "in_time": wall_s <= 60 * arguments.minutes,
        "machine": machine(environment),
    }


def folder_of(row: str, seed: int, arguments: argparse.Namespace) -> Path:
    """Where a run is kept; a row may name files."""
    name = "+".join(Path(part).stem for part in row.split("+"))
    return Path(arguments.out).resolve() / f"{name}-{seed}"


def train_ours(
    row: str, seed: int, time_s: str, arguments: argparse.Namespace, environment: dict[str, str], out: Path
) -> dict[str, Any]:
    """`vitreous train`, then `vitreous evaluate`, each a process of its own."""
    vitreous = [sys.executable, "-m", "vitreous"]
    model, _, recipe = row.partition("+")
    chosen = [] if row == "default" else ["--model", model, "--config", recipe or str(SPEEDRUN)]
    begun = time.perf_counter()
    length = ["--time", time_s, "--seed", str(seed), "--out", str(out)]
    call([*vitreous, "train", *chosen, "--data", *arguments.data, *length], environment)
    trained_s = time.perf_counter() - begun
    tested_in = ["--out", str(out.parent / "test")]
    call([*vitreous, "evaluate", str(out), "--data", *arguments.test, *tested_in], environment)
    events = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    state = json.loads((out / "run.json").read_text())
    values = state["metrics"]
    tested = json.loads((out.parent / "test" / "evaluation.json").read_text())
    return {
        "test_top1": next(value for key, value in tested["metrics"].items() if key.endswith("/top1")),
        "epochs": passes(events),
        "img_s": statistics.median(each["perf/img_s"] for each in events if "perf/img_s" in each),
        "parameters": int(values["model/params"]),
        "macs": int(values["model/macs"]),
        "earlier_s": max(0.0, state["wall_s"] - trained_s),  # of a run that was interrupted
    }


def train_peer(
    row: str, seed: int, time_s: str, arguments: argparse.Namespace, environment: dict[str, str]
) -> dict[str, Any]:
    """`train_peer.py`, whose last line is its record."""
    command = [sys.executable, str(HERE / "train_peer.py"), row, "--data", *arguments.data]
    text = call(
        [*command, "--test", *arguments.test, "--time", time_s, "--seed", str(seed)], environment, read=True
    )
    return dict(json.loads(text.strip().splitlines()[-1]))


def call(command: list[str], environment: dict[str, str], *, read: bool = False) -> str:
    """Run a command; its standard output where it is to be read."""
    done = subprocess.run(
        command, env=environment, check=True, text=True, stdout=subprocess.PIPE if read else sys.stderr
    )
    return done.stdout or ""


def machine(environment: dict[str, str]) -> str:
    """One sentence on processor and versions, as the runs saw it."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import machine; print(machine.describe_machine())"
    return call([sys.executable, "-c", code], environment, read=True).strip()


def spread(values: list[float], digits: int, scale: float = 1.0) -> str:
    """`mean ± sd (n)`, or the value alone where there is one."""
    mean = statistics.mean(values) * scale
    if len(values) == 1:
        return f"{mean:.{digits}f} (1)"
    return f"{mean:.{digits}f} ± {statistics.stdev(values) * scale:.{digits}f} ({len(values)})"


def table(runs: list[dict[str, Any]]) -> str:
    """A row a model, the most accurate first."""
    rows = {name: [each for each in runs if each["row"] == name] for name in {each["row"] for each in runs}}
    ordered = sorted(rows, key=lambda name: -statistics.mean(each["test_top1"] for each in rows[name]))
    lines = [
        "| model | parameters | million MACs | test top-1 (%), mean ± sd (n) | wall (s) | passes | img/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ordered:
        mine = rows[name]
        column = {
            key: [float(each[key]) for each in mine] for key in ("test_top1", "wall_s", "epochs", "img_s")
        }
        late = "" if all(each["in_time"] for each in mine) else " !"
        lines.append(
            f"| `{name}` | {mine[0]['parameters'] / 1e6:.2f} M | {mine[0]['macs'] / 1e6:.1f} "
            f"| {spread(column['test_top1'], 2, 100)} | {statistics.mean(column['wall_s']):.0f}{late} "
            f"| {statistics.mean(column['epochs']):.1f} | {statistics.mean(column['img_s']):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, help="training images")
    parser.add_argument("--test", nargs="+", required=True, help="test images, read once at the end")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", default=[*OURS, *PEERS])
    parser.add_argument("--out", default="runs/time_to_accuracy")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md and NAME.json")
    arguments = parser.parse_args()

    asked = {"data": arguments.data, "minutes": arguments.minutes, "threads": arguments.threads}
    data = " ".join(Path(each).name for each in arguments.data)
    same = asked | {"data": data}
    runs = kept_before(arguments.keep, same)
    there = {(each["row"], each["seed"]) for each in runs}
    for seed in arguments.seeds:
        for row in (each for each in arguments.rows if (each, seed) not in there):
            kept = folder_of(row, seed, arguments) / "time_to_accuracy.json"
            runs.append(once(kept, asked, partial(run, row, seed, arguments)))
            print(json.dumps(runs[-1]), flush=True)
    machines = "; ".join(sorted({each["machine"] for each in runs}))
    text = (
        f"{data}, {arguments.minutes:g} minutes, {arguments.threads} threads; {machines}.\n\n{table(runs)}\n"
    )
    record = same | {"runs": runs}
    tell(text, record, arguments.keep)


if __name__ == "__main__":
    main()
