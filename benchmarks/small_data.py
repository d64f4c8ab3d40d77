"""EIT, LSRA and the plain ViT on a small data set: same recipe, same budget, several seeds.

What is measured: test accuracy of the delivered model (chosen on the validation split that is cut from
the training images; the test images are read once, at the end), training throughput and wall time. One seed
proves nothing, so the table gives mean ± standard deviation over seeds, and the
last line has every run as JSON.

    python benchmarks/small_data.py --data train.parquet --test test.parquet --time 10m --seeds 0 1 2

Runs that are finished can be scored without training again: --finished RUN RUN … . The table and the numbers
are kept in benchmarks/results/ when --keep NAME is given.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import yaml
from kept import tell
from machine import describe_machine

import vitreous as vt


def train_once(model: str, seed: int, arguments: argparse.Namespace) -> Path:
    """Train one model with one seed, or continue it; the run folder."""
    settings: dict[str, Any] = {"recipe": json.loads(arguments.recipe), "lr": arguments.lr}
    settings |= {"time": arguments.time} if arguments.time else {"epochs": arguments.epochs}
    out = Path(arguments.out) / f"{Path(model).stem}-{seed}"  # a model may be a file
    return vt.train(arguments.data, model, out, seed=seed, device=arguments.device, **settings).run_dir


def score(run: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a finished run reached: test accuracy, speed and time, from its own records."""
    state = json.loads((run / "run.json").read_text())
    settings = yaml.safe_load((run / "config.yaml").read_text())
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    model = vt.load(run)
    counted = vt.cost(model.config)
    scored = vt.evaluate(run, data=arguments.test, split="test", device=arguments.device)
    return {
        "model": model.config.name,
        "seed": settings["seed"],
        "test_top1": scored.metrics["test/top1"],
        "val_top1": state["metrics"]["val/top1"],
        "img_s": statistics.median(event["perf/img_s"] for event in events if "perf/img_s" in event),
        "wall_s": state["wall_s"],
        "epochs": passes(events),
        "lr": settings["lr"],
        "batch_size": settings["batch_size"],
        "parameters": counted.parameters,
        "macs": counted.macs,
    }


def passes(events: list[dict[str, Any]]) -> float:
    """Passes over the training images; a run with a `--time` may have left steps out, but none so early."""
    first, last = events[0], events[-1]
    taken = last["samples"] / last["step"] * first["step"] / first["samples"]
    return float(round(last["epoch"] * taken, 4))


def spread(values: list[float], digits: int = 2, scale: float = 1.0) -> str:
    """`mean ± sd` of the values, or the value alone where there is one."""
    mean = statistics.mean(values) * scale
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values) * scale:.{digits}f}"


def table(runs: list[dict[str, Any]]) -> str:
    """The runs as a Markdown table, a row a model."""
    lines = [
        "| model | parameters | million MACs | seeds | test top-1 (%) | epochs | training img/s | wall (s) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model in dict.fromkeys(run["model"] for run in runs):
        mine = [run for run in runs if run["model"] == model]
        column = {key: [run[key] for run in mine] for key in mine[0]}
        lines.append(
            f"| `{model}` | {mine[0]['parameters']:,} | {mine[0]['macs'] / 1e6:.1f} | {len(mine)} "
            f"| {spread(column['test_top1'], 2, 100)} | {spread(column['epochs'])} "
            f"| {spread(column['img_s'], 0)} | {spread(column['wall_s'], 0)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", default=["digits"], help="training images")
    parser.add_argument("--test", nargs="+", default=["digits"], help="test images, read once at the end")
    parser.add_argument(
        "--models", nargs="+", default=["eit_small_image", "lsra_small_image", "vit_small_image"]
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--time", help="time of each run, such as 10m (instead of --epochs)")
    parser.add_argument("--epochs", type=lambda text: text if text == "auto" else int(text), default="auto")
    parser.add_argument("--lr", type=lambda text: text if text == "auto" else float(text), default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--recipe", default="{}", help="recipe fields to change, as JSON")
    parser.add_argument("--out", default="runs/small_data")
    parser.add_argument("--finished", nargs="+", type=Path, help="run folders to score instead of training")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md and NAME.json")
    arguments = parser.parse_args()

    runs = []
    planned = [(model, seed) for seed in arguments.seeds for model in arguments.models]
    for each in arguments.finished or planned:
        run = each if isinstance(each, Path) else train_once(each[0], each[1], arguments)
        runs.append(score(run, arguments))
        print(json.dumps(runs[-1]), flush=True)

    names = " ".join(Path(each).name for each in arguments.data)
    rates = sorted({f"lr {run['lr']:g}, batch {run['batch_size']}" for run in runs})
    text = f"{names}; {', '.join(rates)}; {describe_machine(arguments.device)}.\n\n{table(runs)}\n"
    record = {"data": names, "machine": describe_machine(arguments.device), "runs": runs}
    tell(text, record, arguments.keep)


if __name__ == "__main__":
    main()
