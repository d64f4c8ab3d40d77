"""What does each option of training change on a small data set, all else equal, paired over seeds?

The host is a catalog model (`--model`, a small PSViT), trained as `vitreous train` does by default but for
one thing a row:

    base                the recipe for small data
    guided              features follow those of a small CNN that the run trains first (--guidance.teacher
                        cnn, depth 20)
    mimetic             attention starts as it looks after pretraining (--recipe.init mimetic)
    adamw               AdamW instead of Muon (--recipe.optimizer adamw)
    small images first  the first half of the run at half the size (--recipe.progressive_size)
    stronger            two operations of RandAugment at magnitude 9 instead of one at 5
    unmixed             neither mixup nor cutmix
    plain               neither of these, nor RandAugment nor erasing

A difference is that of two runs with the same seed; its interval is Student's, 95 %, over the seeds. Budgets
are equal in images; the time of the whole run, that of a guide included, stands beside it. The test images
are read once, at the end. Seeds and rows can be run in pieces with one --out. The last line has every run as
JSON; --keep NAME writes benchmarks/results/NAME.md and NAME.json.

    python benchmarks/options.py --data train.parquet --test test.parquet --limit 5000 --epochs 12
"""

import argparse
import statistics
from functools import partial
from pathlib import Path
from typing import Any

from ideas import difference
from kept import in_pieces, tell
from machine import describe_machine
from small_data import score, spread

import vitreous as vt

UNMIXED = {"mixup": 0.0, "cutmix": 0.0}


def options(size: int) -> dict[str, dict[str, Any]]:
    """What each row changes; `size` in pixels is the model's."""
    return {
        "base": {},
        "guided": {"guidance": {"teacher": "cnn", "depth": 20}},
        "mimetic": {"recipe": {"init": "mimetic"}},
        "adamw": {"recipe": {"optimizer": "adamw"}},
        "small images first": {"recipe": {"progressive_size": size // 2}},
        "stronger": {"recipe": {"randaugment": 2, "randaugment_magnitude": 9}},
        "unmixed": {"recipe": UNMIXED},
        "plain": {"recipe": {**UNMIXED, "randaugment": 0, "erasing": 0.0}},
    }


def train_once(option: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one row with one seed, or continue it."""
    changed = options(vt.config(arguments.model).image.height)[option]
    out = folder_of(option, seed, arguments)
    loading = {"limit": arguments.limit} if arguments.limit else {}
    run = vt.train(
        arguments.data, arguments.model, out, seed=seed, device="cpu", loading=loading,
        epochs=arguments.epochs, eval_every=arguments.epochs, **changed,
    ).run_dir  # fmt: skip
    return score(run, arguments) | {"option": option}


def folder_of(option: str, seed: int, arguments: argparse.Namespace) -> Path:
    """Where a run is kept."""
    return Path(arguments.out) / f"{option.replace(' ', '_')}-{seed}"


def table(runs: list[dict[str, Any]]) -> str:
    """A row an option."""
    lines = [
        "| option | seeds | test top-1 (%) | paired difference (points, 95 %) | run's time beside base |",
        "|---|---|---|---|---|",
    ]
    rows: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        rows.setdefault(run["option"], []).append(run)
    base_s = statistics.median(run["wall_s"] for run in rows["base"])
    for option, mine in rows.items():
        gap = "–" if option == "base" else difference(mine, rows["base"])
        slower = statistics.median(run["wall_s"] for run in mine) / base_s
        accuracy = spread([run["test_top1"] for run in mine], 2, 100)
        lines.append(f"| {option} | {len(mine)} | {accuracy} | {gap} | {slower:.2f} × |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--model", default="psvit_2d_small_image")
    parser.add_argument("--options", nargs="+", default=list(options(32)), choices=list(options(32)))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--limit", type=int, help="training images; all by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", default="runs/options")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md and NAME.json")
    arguments = parser.parse_args()

    asked = {
        "data": arguments.data,
        "model": arguments.model,
        "epochs": arguments.epochs,
        "limit": arguments.limit,
    }
    measure = partial(train_once, arguments=arguments)
    runs = in_pieces(arguments.options, arguments.seeds, arguments.out, asked, measure)
    names = " ".join(Path(each).name for each in arguments.data)
    size = f", {arguments.limit:,} images" if arguments.limit else ""
    text = (
        f"{names}{size}, {arguments.epochs} epochs, `{arguments.model}`; {describe_machine('cpu')}.\n\n"
        f"{table(runs)}\n"
    )
    record = {"data": names, "model": arguments.model, "machine": describe_machine("cpu"), "runs": runs}
    tell(text, record, arguments.keep)


if __name__ == "__main__":
    main()
