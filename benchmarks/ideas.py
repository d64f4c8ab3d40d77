"""One small host and one idea at a time, paired over seeds: what does each idea change, all else equal?

The host is a plain vision transformer for 32 pixels: patches of 4, 64 tokens of 96 channels, six layers,
three heads, feed-forward ratio 2, a learned position added once, the mean of the tokens read. Each row
changes one thing and nothing else; recipe, data, order, augmentation and seeds are the host's:

    base                the host
    lape                position with a norm of its own in every layer (LaPE)
    recursion ×2        every block applied twice: parameters of the host, twice its cost (SReT's naive form)
    sliced              every other layer attends within four slices of 16 tokens (SReT)
    shared              every other layer mixes with the map of the layer before (PSViT)
    pooled              a convolution halves the grid before layer 2 and again before layer 4 (PSViT-2D)
    token feed-forward  feed-forward over tokens instead of attention
    eit                 a share of the channels, falling with depth, through a depthwise convolution (EIT)

A difference is that of two runs with the same seed; its interval is Student's, 95 %, over the seeds. The
budget is equal in *images*, not in time: cost stands beside it. The test images are read once, at the end.
Seeds and ideas can be run in pieces with one --out. The last line has every run as JSON; --keep NAME writes
benchmarks/results/NAME.md and NAME.json.

    python benchmarks/ideas.py --data train.parquet --test test.parquet --epochs 4 --seeds 0 1 2 --keep ideas
"""

import argparse
import json
import statistics
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kept import in_pieces, tell
from machine import describe_machine
from small_data import score, spread

import vitreous as vt
from vitreous.insight.paired import paired
from vitreous.models import to_json
from vitreous.models.deit import deit
from vitreous.models.eit import attention_channels
from vitreous.models.lape import lape
from vitreous.models.recursive import recursive
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    Attention,
    Block,
    ChannelSplit,
    DepthwiseConv,
    FeedForward,
    GridPool,
    ImageShape,
    MeanHead,
    Mix,
    Mixer,
    NoPrefix,
    SharedAttention,
    Sliced,
    Transposed,
)

WIDTH, DEPTH, HEADS, RATIO = 96, 6, 3, 2
IDEAS = ("base", "lape", "recursion", "sliced", "shared", "pooled", "token feed-forward", "eit")


def host(channels: int, side: int, classes: int) -> VisionTransformer:
    """The plain vision transformer that every row starts from."""
    plain = deit(
        image=ImageShape(channels, side, side),
        classes=classes, width=WIDTH, depth=DEPTH, heads=HEADS, patch=side // 8, ratio=RATIO,
    )  # fmt: skip
    return replace(plain, prefix=NoPrefix(), head=MeanHead(classes))


def with_idea(base: VisionTransformer, idea: str) -> VisionTransformer:
    """The host with one thing changed."""
    feed_forward = FeedForward(RATIO)

    def mixed(*mixers: Mixer) -> VisionTransformer:
        return replace(base, layers=tuple(Block((Mix(mixer), feed_forward)) for mixer in mixers))

    match idea:
        case "base":
            changed = base
        case "lape":
            changed = lape(base)
        case "recursion":
            changed = recursive(base, 2)
        case "sliced":
            changed = mixed(*(Sliced(Attention(HEADS), (4,)), Attention(HEADS)) * (DEPTH // 2))
        case "shared":
            changed = mixed(*(Attention(HEADS, lends=True), SharedAttention(HEADS)) * (DEPTH // 2))
        case "pooled":
            block = Block((Mix(Attention(HEADS)), feed_forward))
            pool = GridPool(WIDTH)
            changed = replace(base, layers=(block, block, pool, block, block, pool, block, block))
        case "token feed-forward":
            block = Block((Transposed(FeedForward(RATIO)), feed_forward))
            changed = replace(base, layers=(block,) * DEPTH)
        case "eit":
            changed = mixed(*(_split(attention_channels(at, WIDTH, DEPTH, HEADS)) for at in range(DEPTH)))
        case _:
            raise ValueError(idea)
    return replace(changed, name=idea.replace(" ", "_"), source="ours")


def _split(attending: int) -> Mixer:
    if attending == WIDTH:
        return Attention(HEADS)
    return ChannelSplit(((WIDTH - attending, DepthwiseConv(3)), (attending, Attention(HEADS))))


def train_once(idea: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one row with one seed, or continue it."""
    config = with_idea(host(arguments.channels, arguments.side, arguments.classes), idea)
    out = Path(arguments.out) / f"{config.name}-{seed}"
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.with_suffix(".model.json")
    file.write_text(json.dumps(to_json(config)))
    settings = {"epochs": arguments.epochs, "lr": arguments.lr, "batch_size": arguments.batch_size}
    loading = {"limit": arguments.limit} if arguments.limit else {}
    recipe = {"mixup": 0.0, "cutmix": 0.0, "drop_path": 0.0}  # too short for strong regularisation
    run = vt.train(
        arguments.data, str(file), out, seed=seed, device="cpu", compile=False, eval_every=arguments.epochs,
        recipe=recipe, loading=loading, **settings,
    ).run_dir  # fmt: skip
    return score(run, arguments) | {"idea": idea}


def difference(mine: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    """Mean difference to the host over equal seeds, in points, with its 95 % interval."""
    found = paired(_by_seed(base), _by_seed(mine))
    assert found is not None, "a row shares no seed with the host"
    if found.low is None or found.high is None:
        return f"{found.mean:+.2f}"
    return f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _by_seed(runs: list[dict[str, Any]]) -> dict[int, float]:
    """Test accuracy in percent."""
    return {run["seed"]: 100 * run["test_top1"] for run in runs}


def table(runs: list[dict[str, Any]]) -> str:
    """A row an idea."""
    lines = [
        "| idea | parameters | million MACs | seeds | test top-1 (%) | paired difference (points, 95 %) "
        "| time beside base |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = {idea: [run for run in runs if run["idea"] == idea] for idea in IDEAS}
    base_s = statistics.median(1 / run["img_s"] for run in rows["base"])
    for idea, mine in rows.items():
        if not mine:
            continue
        slower = statistics.median(1 / run["img_s"] for run in mine) / base_s
        lines.append(
            f"| {idea} | {mine[0]['parameters']:,} | {mine[0]['macs'] / 1e6:.1f} | {len(mine)} "
            f"| {spread([run['test_top1'] for run in mine], 2, 100)} "
            f"| {difference(mine, rows['base']) if idea != 'base' else '–'} | {slower:.2f} × |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--ideas", nargs="+", default=list(IDEAS), choices=IDEAS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--limit", type=int, help="training images; all by default")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", default="runs/ideas")
    parser.add_argument("--keep", help="write benchmarks/results/NAME.md and NAME.json")
    arguments = parser.parse_args()

    asked = {"data": arguments.data, "epochs": arguments.epochs, "limit": arguments.limit, "lr": arguments.lr}
    measure = partial(train_once, arguments=arguments)
    runs = in_pieces(arguments.ideas, arguments.seeds, arguments.out, asked, measure)
    names = " ".join(Path(each).name for each in arguments.data)
    size = f", {arguments.limit:,} images" if arguments.limit else ""
    text = (
        f"{names}{size}, {arguments.epochs} epochs, lr {arguments.lr:g}, batch {arguments.batch_size}; "
        f"{describe_machine('cpu')}.\n\n{table(runs)}\n"
    )
    record = {"data": names, "machine": describe_machine("cpu"), "runs": runs}
    tell(text, record, arguments.keep)


if __name__ == "__main__":
    main()
