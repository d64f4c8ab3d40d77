"""EIT, LSRA and the plain ViT on a small data set: same recipe, same budget, several seeds.

What is measured: test accuracy of the delivered model (chosen on the validation split that is cut from the training
images; the test images are read once, at the end), training throughput and wall time. One seed proves nothing, so the
table gives mean ± standard deviation over seeds, and every single run is in the JSON line at the end.

    python benchmarks/small_data.py --data cifar10-train.parquet --test cifar10-test.parquet --time 10m --seeds 0 1 2

The program keeps its table and numbers in benchmarks/results/ when --keep NAME is given.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import vitreous as vt
from machine import describe_machine


def run_once(model: str, seed: int, arguments: argparse.Namespace) -> dict[str, object]:
    """Train one model with one seed and score it on the test images."""
    out = Path(arguments.out) / f"{model}-{seed}"
    budget = {"time": arguments.time} if arguments.time else {"epochs": arguments.epochs}
    begun = time.perf_counter()
    result = vt.train(
        data=arguments.data, model=model, out=str(out), seed=seed, device=arguments.device,
        recipe=json.loads(arguments.recipe), **budget,
    )  # fmt: skip
    wall_s = time.perf_counter() - begun
    scored = vt.evaluate(result.run_dir, data=arguments.test, split="test", device=arguments.device)
    epochs = [json.loads(line) for line in (Path(result.run_dir) / "metrics.jsonl").read_text().splitlines()]
    speeds = [line["perf/img_s"] for line in epochs if "perf/img_s" in line]
    return {
        "model": model,
        "seed": seed,
        "test_top1": scored.metrics["test/top1"],
        "val_top1": result.metrics["val/top1"],
        "img_s": statistics.median(speeds),
        "wall_s": wall_s,
        "epochs": epochs[-1]["epoch"],
        "parameters": vt.cost(vt.load(result.run_dir).config).parameters,
        "macs": vt.cost(vt.load(result.run_dir).config).macs,
    }


def spread(values: list[float], digits: int = 2, scale: float = 1.0) -> str:
    """`mean ± sd` of the values, or the value alone where there is one."""
    mean = statistics.mean(values) * scale
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values) * scale:.{digits}f}"


def table(runs: list[dict[str, object]], models: list[str]) -> str:
    """The runs as a Markdown table, a row a model."""
    lines = [
        "| model | parameters | MMACs | seeds | test top-1 (%) | epochs | training img/s | wall (s) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model in models:
        mine = [run for run in runs if run["model"] == model]
        if not mine:
            continue

        def column(key: str, mine: list[dict[str, object]] = mine) -> list[float]:
            return [float(run[key]) for run in mine]  # type: ignore[arg-type]

        lines.append(
            f"| `{model}` | {mine[0]['parameters']:,} | {float(mine[0]['macs']) / 1e6:.1f} | {len(mine)} "  # type: ignore[arg-type]
            f"| {spread(column('test_top1'), 2, 100)} | {spread(column('epochs'), 0)} "
            f"| {spread(column('img_s'), 0)} | {spread(column('wall_s'), 0)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="training images")
    parser.add_argument("--test", nargs="+", required=True, help="test images, read once at the end")
    parser.add_argument("--models", nargs="+", default=["eit_small_image", "lsra_small_image", "vit_small_image"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--time", help="training time of each run, such as 10m (instead of --epochs)")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--recipe", default="{}", help="recipe fields to change, as JSON, for all models alike")
    parser.add_argument("--out", default="runs/small_data")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md and NAME.json")
    arguments = parser.parse_args()

    runs = []
    for seed in arguments.seeds:
        for model in arguments.models:
            runs.append(run_once(model, seed, arguments))
            print(json.dumps(runs[-1]), flush=True)

    budget = f"{arguments.time} of training a run" if arguments.time else f"{arguments.epochs} epochs a run"
    names = " ".join(Path(each).name for each in arguments.data)
    changed = "the default recipe" if arguments.recipe == "{}" else f"recipe {arguments.recipe}"
    text = "\n".join(
        [
            f"{names}: {budget}, {changed}; {describe_machine(arguments.device)}.",
            "",
            table(runs, arguments.models),
            "",
        ]
    )
    print(text)
    record = {"data": names, "budget": budget, "recipe": arguments.recipe, "runs": runs}
    record["machine"] = describe_machine(arguments.device)
    if arguments.keep:
        kept = Path(__file__).parent / "results" / arguments.keep
        kept.parent.mkdir(exist_ok=True)
        kept.with_suffix(".md").write_text(text)
        kept.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
