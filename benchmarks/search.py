"""Does the search beat what needs no search? Test accuracy at equal MACs, over several seeds.

For each space `vitreous search` runs once with seed 0. Then its winner, the best of a random search of as
many candidates, the hand-made PSViT preset, and a plain DeiT, an EIT and a hybrid, each as wide as the budget
allows, are trained from scratch with every seed, alike, on the same split. Test images are read once, at
the end, by `evaluate`. The goal: the winner 1 point above the best of the others, and 3 above the plain DeiT.

    python benchmarks/search.py --data train.parquet --test test.parquet --budget macs=30M \\
        --spaces hybrid_small_image wide_small_image --time 1h --epochs 30 --seeds 0 1 2 --keep NAME

Whatever is finished in --out is not done again, so a long comparison may be run in pieces, and in several
processes where they share no --spaces and no --others. --keep NAME adds to what NAME holds already.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from kept import kept_before, once, tell
from machine import describe_machine
from small_data import spread

import vitreous as vt
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.searching.budget import Budget, parse_budget
from vitreous.searching.named import HYBRID, WIDE
from vitreous.searching.plain import plain_hybrid, plain_vit, widest
from vitreous.searching.space import Space
from vitreous.searching.worth import Agreement

HAND_MADE = "psvit_2d_small_image_12"
OTHERS = ("hand-made PSViT", "plain DeiT", "EIT", "hybrid")


def without_search(what: str, space: Space, budget: Budget) -> VisionTransformer:
    """A model that nobody searched for, for the images of a space."""
    image, classes = space.config.image, space.config.head.classes
    given = {"image_size": (image.height, image.width), "classes": classes, "channels": image.channels}
    if what == "hand-made PSViT":
        return vt.config(HAND_MADE, **given)  # type: ignore[arg-type]

    def eit(width: int) -> VisionTransformer:
        return vt.config("eit_small_image", width=width, **given)  # type: ignore[arg-type]

    if what == "EIT":
        found = widest(eit, budget)
    else:
        found = {"plain DeiT": plain_vit, "hybrid": plain_hybrid}[what](image, classes, budget)
    if found is None:
        raise vt.ConfigError(f"no {what} is within {budget}")
    return found


def searched(name: str, arguments: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """One search, or what it found when it was last run."""
    out = Path(arguments.out) / f"search-{Path(name).stem}"

    def run() -> dict[str, Any]:
        how: dict[str, Any] = {"time": arguments.time} if arguments.time else json.loads(arguments.search)
        vt.search(
            arguments.data, name, arguments.budget, out, compare=True, winners=1, device=arguments.device,
            correlate=arguments.correlate, seed=0, **how,
        )  # fmt: skip
        return {"settings": asked, "report": json.loads((out / "report.json").read_text())}

    kept = ("budget", "time", "search", "correlate")
    asked = {"space": name, "data": Path(arguments.data).name}
    asked |= {each: getattr(arguments, each) for each in kept}
    return out, once(Path(arguments.out) / f"search-{Path(name).stem}.json", asked, run)


def trained(
    what: str, config: VisionTransformer, seed: int, split: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """One model trained with one seed and scored on the test images."""
    out = Path(arguments.out) / f"{what.replace(' ', '-')}-{seed}"

    def run() -> dict[str, Any]:
        result = vt.train(
            arguments.data, config, out, epochs=arguments.epochs, seed=seed, device=arguments.device,
            loading={"split_file": str(split)},
        )  # fmt: skip
        scored = vt.evaluate(result.run_dir, data=arguments.test, split=arguments.test_split)
        top1 = next(value for name, value in scored.metrics.items() if name.endswith("/top1"))
        counted = vt.cost(config)
        return {
            "what": what, "seed": seed, "test_top1": top1, "val_top1": result.metrics["val/top1"],
            "macs": counted.macs, "parameters": counted.parameters, "machine": describe_machine(),
        }  # fmt: skip

    asked = {each: getattr(arguments, each) for each in ("data", "test", "test_split", "epochs")}
    return once(out.with_suffix(".json"), asked | {"model": repr(config)}, run)


def table(runs: list[dict[str, Any]]) -> str:
    """Mean ± standard deviation of each model, the best first."""
    by_model: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_model.setdefault(run["what"], []).append(run)
    lines = ["| model | test top-1 (%) | seeds | million MACs | parameters |", "|---|---|---|---|---|"]
    for what, mine in sorted(
        by_model.items(), key=lambda it: -statistics.mean(r["test_top1"] for r in it[1])
    ):
        accuracy = spread([run["test_top1"] for run in mine], 2, 100)
        lines.append(
            f"| {what} | {accuracy} | {len(mine)} | {mine[0]['macs'] / 1e6:.1f} | {mine[0]['parameters']:,} |"
        )
    return "\n".join(lines)


def told_search(name: str, report: dict[str, Any]) -> str:
    """What a search found, took, and what its ranking is worth."""
    seconds = ", ".join(f"{phase} {took:,.0f}" for phase, took in report["seconds"].items())
    worth = "".join(f" τ by {ranking}: {Agreement(**agrees)}." for ranking, agrees in report["worth"].items())
    return (
        f"`{name}`: {report['verdict']} {report['looked_at']} candidates. Seconds: {seconds} "
        f"({sum(report['seconds'].values()):,.0f} in all).{worth}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--test-split", default=None)
    parser.add_argument("--budget", default="macs=30M")
    parser.add_argument("--spaces", nargs="+", default=[HAND_MADE, HYBRID, WIDE])
    parser.add_argument("--others", nargs="*", choices=OTHERS, default=OTHERS, help="models without a search")
    parser.add_argument("--time", default=None, help="of one search")
    parser.add_argument("--search", default="{}", help="settings of the search as JSON, without --time")
    parser.add_argument("--correlate", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", default="runs/search-benchmark")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    asked = {each: getattr(arguments, each) for each in ("budget", "epochs", "test_split")}
    asked |= {each: Path(getattr(arguments, each)).name for each in ("data", "test")}
    runs = kept_before(arguments.keep, asked)
    searches = {each["settings"]["space"]: each for each in kept_before(arguments.keep, asked, "searches")}
    there = {(each["what"], each["seed"]) for each in runs}
    for name in arguments.spaces:
        folder, searches[name] = searched(name, arguments)
        space = Space.from_json(json.loads((folder / "space.json").read_text()))
        models = []
        for each in searches[name]["report"]["retrained"]:
            if each["what"] in ("winner 1", "random search"):
                genome = tuple(each["candidate"]["genome"])
                models.append((f"{each['what']} of {Path(name).stem}", space.resolve(genome)))
        if name == arguments.spaces[0]:
            budget = parse_budget(arguments.budget)
            models += [(what, without_search(what, space, budget)) for what in arguments.others]
        for what, config in models:
            seeds = [seed for seed in arguments.seeds if (what, seed) not in there]
            runs += [trained(what, config, seed, folder / "split.csv", arguments) for seed in seeds]
    machines = "; ".join(sorted({each["machine"] for each in runs}))
    told = (told_search(name, found["report"]) for name, found in searches.items())
    text = "\n\n".join([__doc__.strip(), machines, table(runs), *told]) + "\n"
    record = asked | {"runs": runs, "searches": list(searches.values())}
    tell(text, record, arguments.keep)


if __name__ == "__main__":
    main()
