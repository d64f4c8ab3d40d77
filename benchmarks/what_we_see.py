"""What each paper says happens inside its networks: does it show in small ones, trained here?

One member of every family is trained from scratch on the same images, with the same recipe and order, over
several seeds; then `vt.analyze` looks into each beside its untrained control. A claim is written as a number
that is above zero where the claim holds. It *shows* where the 95 % interval over seeds (Student's t) lies
above zero, and the table also says what the same number is before any training: what an untrained network
shows as well was not learned.

    python benchmarks/what_we_see.py --data train.parquet --test test.parquet --limit 10000 --epochs 4 \\
        --seeds 0 1 2 --keep what_we_see

Models and seeds can be run in pieces with one --out. The last line says what was run; --keep NAME writes
benchmarks/results/NAME.md, NAME.json and pictures NAME_*.png of the first seed.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from kept import in_pieces, keep, once
from machine import describe_machine
from small_data import score, spread

import vitreous as vt
from vitreous.analysis.seed_correlation import FEWEST, seed_correlation
from vitreous.insight.draw import draw
from vitreous.insight.meters.recursion import BEYOND
from vitreous.insight.paired import paired

MODELS = (
    "vit_small_image",
    "lsra_small_image",
    "eit_small_image",
    "psvit_1d_small_image",
    "psvit_2d_small_image",
    "sret_small_image",
    "feed_forward_small_image",
    "vit_lite_7_4",
    "vit_lite_7_4_lape",
    "hybrid_1m",
)
ONLY = ("hfd", "head_diversity", "similar_maps", "tokens", "cka", "position", "turns", "pools")
SAME_GRID = ("vit_small_image", "lsra_small_image", "eit_small_image")
TOGETHER = {
    "hfd": SAME_GRID,
    "head_diversity": SAME_GRID,
    "position": ("vit_lite_7_4", "vit_lite_7_4_lape"),
    "tokens": ("vit_small_image", "psvit_2d_small_image", "feed_forward_small_image"),
}
Values = dict[str, Any]
Of = Callable[[str], Values]  # the values of a model's analyses, by the model's name


def share(of: Of, model: str) -> float:
    """High-frequency share, mean over layers."""
    return float(mean(of(model)["hfd"]["share"]))


def diversity(of: Of, model: str) -> float:
    """Head diversity in pixels, mean over layers."""
    return float(of(model)["head_diversity"]["mean_diversity_px"])


def alike(of: Of, model: str) -> list[float]:
    """Matched correlation of maps by the distance of layers, from neighbours on, of the largest group."""
    groups = of(model)["similar_maps"]["groups"]
    return list(max(groups, key=lambda each: len(each["layers"]))["by_distance"]["matched"])


def drop_at_pools(of: Of, model: str) -> float:
    """How much less alike an image's patches are behind a pool than before it; mean over pools."""
    tokens = of(model)["tokens"]
    after = {name.partition(" ")[0]: place for place, name in enumerate(tokens["layers"])}
    behind = [after[".".join(name.split(".")[:2])] for name in of(model)["pools"]["pools"]]
    return float(mean(tokens["raw"][place - 1] - tokens["raw"][place] for place in behind))


def rise(curve: list[float]) -> float:
    """From the first layer to the last."""
    return curve[-1] - curve[0]


def neighbours_over_outermost(table: list[list[float]]) -> float:
    """Mean CKA of neighbouring layers less that of the first and the last; what enters is left out."""
    layers = range(1, len(table) - 1)
    return float(mean(table[place][place + 1] for place in layers)) - table[1][-1]


def turns_fall(of: Of, model: str) -> float:
    """Relative change of the first turn less that of the last trained one; mean over layers."""
    changes = of(model)["turns"]["change"].values()
    return float(mean(each[0] - each[len(each) - BEYOND - 1] for each in changes))


def branch_over_identity(of: Of, model: str, attention: bool) -> float:
    """β − α of the sums behind attention, or behind feed-forward and projections; mean over sums."""
    return float(
        mean(
            each["branch"] - each["identity"]
            for each in of(model)["turns"]["coefficients"]
            if each["name"].endswith("branches.0.add") == attention
        )
    )


@dataclass(frozen=True)
class Claim:
    """A claim of a paper (or ours) as a number that is above zero where it holds.

    Args:
        paper: whose it is.
        says: what it says.
        number: the number in words, with its unit.
        measure: from the analyses of one seed.
    """

    paper: str
    says: str
    number: str
    measure: Callable[[Of], float]


CLAIMS = (
    Claim("EIT", "EIT keeps more high frequencies than LSRA", "share, EIT − LSRA",
          lambda of: share(of, "eit_small_image") - share(of, "lsra_small_image")),
    Claim("EIT", "LSRA keeps more than a plain ViT", "share, LSRA − ViT",
          lambda of: share(of, "lsra_small_image") - share(of, "vit_small_image")),
    Claim("EIT", "heads of EIT differ more than those of LSRA", "diversity in pixels, EIT − LSRA",
          lambda of: diversity(of, "eit_small_image") - diversity(of, "lsra_small_image")),
    Claim("EIT", "heads of LSRA differ more than those of a plain ViT", "diversity in pixels, LSRA − ViT",
          lambda of: diversity(of, "lsra_small_image") - diversity(of, "vit_small_image")),
    Claim("PSViT", "maps of neighbouring layers correlate (plain ViT)", "matched correlation of neighbours",
          lambda of: alike(of, "vit_small_image")[0]),
    Claim("PSViT", "neighbours more than layers far apart", "correlation, neighbours − outermost",
          lambda of: alike(of, "vit_small_image")[0] - alike(of, "vit_small_image")[-1]),
    Claim("PSViT", "patches of an image become alike with depth (plain ViT)", "raw cosine, last − first",
          lambda of: rise(of("vit_small_image")["tokens"]["raw"])),
    Claim("PSViT", "pooling takes that redundancy away (2D)", "raw cosine, before − behind a pool",
          lambda of: drop_at_pools(of, "psvit_2d_small_image")),
    Claim("LaPE", "joined once, positions look alike to all layers; with LaPE they differ by layer",
          "range over layers of the mean cosine, LaPE − default",
          lambda of: (max(of("vit_lite_7_4_lape")["position"]["mean"])
                      - min(of("vit_lite_7_4_lape")["position"]["mean"]))
          - (max(of("vit_lite_7_4")["position"]["mean"]) - min(of("vit_lite_7_4")["position"]["mean"]))),
    Claim("LaPE", "with LaPE positions go from local to global", "mean cosine, last − first",
          lambda of: rise(of("vit_lite_7_4_lape")["position"]["mean"])),
    Claim("LaPE", "the same, common offset taken away (ours)", "centred cosine, last − first",
          lambda of: rise(of("vit_lite_7_4_lape")["position"]["mean_centred"])),
    Claim("SReT", "neighbouring layers do much the same (plain ViT)", "CKA, neighbours − outermost",
          lambda of: neighbours_over_outermost(of("vit_small_image")["cka"]["cka"])),
    Claim("SReT", "a later turn changes less (ours)", "relative change, first − last turn",
          lambda of: turns_fall(of, "sret_small_image")),
    Claim("SReT", "behind feed-forward and projections the branch outweighs what passes by", "β − α",
          lambda of: branch_over_identity(of, "sret_small_image", attention=False)),
    Claim("SReT", "behind attention what passes by outweighs the branch", "α − β",
          lambda of: -branch_over_identity(of, "sret_small_image", attention=True)),
    Claim("feed-forward", "without attention patches stay less alike than in a plain ViT (ours)",
          "raw cosine in the last layer, ViT − feed-forward",
          lambda of: of("vit_small_image")["tokens"]["raw"][-1]
          - of("feed_forward_small_image")["tokens"]["raw"][-1]),
)  # fmt: skip


def train_once(model: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one member with one seed, or continue it, and read its test images."""
    run = vt.train(
        arguments.data, model, run_of(model, seed, arguments), seed=seed, device="cpu", compile=False,
        image_size=32,  # which every member's patches and slices divide
        epochs=arguments.epochs, eval_every=arguments.epochs, lr=arguments.lr,
        batch_size=arguments.batch_size, recipe={"mixup": 0.0, "cutmix": 0.0, "drop_path": 0.0},
        loading={"val_share": 0.02} | ({"limit": arguments.limit} if arguments.limit else {}),
    ).run_dir  # fmt: skip
    return score(run, arguments)


def run_of(model: str, seed: int, arguments: argparse.Namespace) -> Path:
    """Where a run is kept."""
    return Path(arguments.out) / f"{model}-{seed}"


def look(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """The analyses of every member of one seed: values, and those of the untrained control."""
    found = {}
    for model in MODELS:
        result = vt.analyze(
            run_of(model, seed, arguments), data=arguments.test, split="test", only=ONLY,
            images=arguments.images, device="cpu",
        )  # fmt: skip
        found[model] = {"trained": result.models[0].found, "untrained": result.models[0].control}
    return dict(json.loads(json.dumps(found)))


def judged(claim: Claim, seen: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """A claim's number by seed, trained and untrained, with its interval and what that says."""

    def numbers(which: str) -> dict[int, float]:
        return {
            seed: claim.measure(partial(lambda models, model: models[model][which], models))
            for seed, models in seen.items()
        }

    trained, untrained = numbers("trained"), numbers("untrained")
    over = paired(dict.fromkeys(trained, 0.0), trained)
    learned = paired(untrained, trained)
    assert over is not None and learned is not None
    words = {"higher": "shows", "lower": "the opposite shows"}.get(over.verdict, over.verdict)
    if words == "shows" and min(untrained.values()) > 0 and learned.verdict != "higher":
        words = "shows, and as much before training"
    return {
        "paper": claim.paper, "says": claim.says, "number": claim.number, "trained": trained,
        "untrained": untrained, "low": over.low, "high": over.high, "verdict": words,
    }  # fmt: skip


def claims_table(rows: list[dict[str, Any]]) -> str:
    """A row a claim."""
    lines = [
        "| paper | claim | number | trained (95 % interval) | untrained | here |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        values = list(row["trained"].values())
        interval = "" if row["low"] is None else f" ({row['low']:+.3g} to {row['high']:+.3g})"
        lines.append(
            f"| {row['paper']} | {row['says']} | {row['number']} | {mean(values):+.3g}{interval} "
            f"| {mean(row['untrained'].values()):+.3g} | {row['verdict']} |"
        )
    return "\n".join(lines)


def correlated(seen: dict[int, dict[str, Any]]) -> str:
    """High-frequency share with head diversity over all runs of EIT, LSRA and ViT, in a sentence."""
    pairs = [
        (mean(each[model]["trained"]["hfd"]["share"]),
         each[model]["trained"]["head_diversity"]["mean_diversity_px"])
        for each in seen.values() for model in SAME_GRID
    ]  # fmt: skip
    if len(pairs) < FEWEST:
        return f"High-frequency share and head diversity: {FEWEST} runs are needed for a correlation."
    over = seed_correlation([each[0] for each in pairs], [each[1] for each in pairs])
    return (
        f"High-frequency share and head diversity over the {over.n} runs of EIT, LSRA and ViT correlate with "
        f"r = {over.r:.2f} (95 % interval {over.low:.2f} to {over.high:.2f}; runs of one model are alike, so "
        "that this counts more evidence than there is)."
    )


def runs_table(runs: list[dict[str, Any]]) -> str:
    """What the members reached."""
    lines = ["| model | parameters | million MACs | test top-1 (%) |", "|---|---|---|---|"]
    for model in dict.fromkeys(run["model"] for run in runs):
        mine = [run for run in runs if run["model"] == model]
        accuracy = spread([run["test_top1"] for run in mine], 2, 100)
        size = f"{mine[0]['parameters']:,} | {mine[0]['macs'] / 1e6:.1f}"
        lines.append(f"| `{model}` | {size} | {accuracy} ({len(mine)}) |")
    return "\n".join(lines)


def draw_together(arguments: argparse.Namespace, kept: Path) -> None:
    """Curves of several members in one picture, of the first seed."""
    for analysis, models in TOGETHER.items():
        runs = [run_of(model, arguments.seeds[0], arguments) for model in models]
        result = vt.analyze(
            runs, data=arguments.test, split="test", only=[analysis], images=arguments.images, device="cpu"
        )
        draw(result.together[analysis][0], kept.with_name(f"{kept.name}_{analysis}.png"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--limit", type=int, help="training images; all by default")
    parser.add_argument("--images", type=int, default=1000, help="test images that are looked at")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", default="runs/what_we_see")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md, NAME.json and NAME_*.png")
    arguments = parser.parse_args()

    asked = {"data": arguments.data, "epochs": arguments.epochs, "limit": arguments.limit, "lr": arguments.lr}
    runs, seen = [], {}
    for seed in arguments.seeds:
        runs += in_pieces(MODELS, [seed], arguments.out, asked, partial(train_once, arguments=arguments))
        file = Path(arguments.out) / f"seen-{seed}.json"
        seen[seed] = once(file, asked | {"images": arguments.images}, partial(look, seed, arguments))
    rows = [judged(claim, seen) for claim in CLAIMS]
    names = " ".join(Path(each).name for each in arguments.data)
    size = f"{arguments.limit:,} images of {names}" if arguments.limit else names
    text = (
        f"{size}, {arguments.epochs} epochs, lr {arguments.lr:g}, batch {arguments.batch_size}; "
        f"{arguments.images:,} test images looked at; seeds {arguments.seeds}; {describe_machine('cpu')}.\n\n"
        f"{claims_table(rows)}\n\n{correlated(seen)}\n\n{runs_table(runs)}\n"
    )
    print(text)
    record = {"data": names, "machine": describe_machine("cpu"), "claims": rows, "runs": runs}
    if arguments.keep:
        draw_together(arguments, keep(arguments.keep, text, record))
    print(json.dumps({"data": names, "models": len(MODELS), "seeds": arguments.seeds}))


if __name__ == "__main__":
    main()
