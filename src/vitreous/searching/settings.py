"""All that a user can set of a search: frozen values, free of heavy imports."""

from dataclasses import dataclass, field
from typing import Literal

from vitreous.data.loading import Loading
from vitreous.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """How candidates are found. The defaults are those of Single Path One-Shot (Guo et al., ECCV 2020).

    Args:
        method: `evolution` for the best score within the budget, `nsga2` for a front of score, MACs, and
            latency and memory where they are limited, or `random` for as many drawn at random.
        population: candidates of a generation.
        generations: after the first, which is drawn at random; `auto` is 20, or what fits into `time`.
        parents: of the best so far, those that the next generation comes from; with `nsga2` as many as the
            population live on.
        crossover: of a generation, those that have two parents.
        mutation: of a generation, those that have one; the rest is drawn at random.
        mutate: probability that a choice is drawn anew (0 to 1).
        mutate_place: probability that a pool moves (0 to 1).
        stop_hopeless: stop scoring a candidate that falls far behind the parents; not with `nsga2`.
    """

    method: Literal["evolution", "nsga2", "random"] = "evolution"
    population: int = 50
    generations: int | Literal["auto"] = "auto"
    parents: int = 10
    crossover: int = 25
    mutation: int = 25
    mutate: float = 0.1
    mutate_place: float = 0.2
    stop_hopeless: bool = True


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the supernet is trained.

    Args:
        epochs: passes over its images; `auto` is training's own rule, or what fits into `time`.
        strata: equal bins of cost, from 0.88 to 1.09 of the budget, that paths are drawn from alike; 0 draws
            all architectures alike.
        sandwich: let the cheapest and the dearest path train at every step, too, each on a third of it.
        save_s: seconds between checkpoints.
    """

    epochs: int | Literal["auto"] = "auto"
    strata: int = 7
    sandwich: bool = False
    save_s: float = 120.0


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """A search. `auto` is resolved from data and machine.

    Args:
        data: folder of class folders, parquet files, `torch/<name>`, `digits`: all that `train` takes.
        space: `psvit_2d_tiny` or any PSViT of `vitreous models`, `hybrid_small_image`, `wide_small_image`, or
            a file: *.py that defines `space(image, classes)`, or *.json. `auto` goes by the images' size.
        budget: limits of the models, such as `macs=0.6G,params=6M,latency_ms=8,memory=200MB`.
        time: for the whole command, such as `2h`: half for the supernet, a fifth for evolution, the rest for
            retraining.
        out: folder of the search; by default one under `runs/` that these settings name.
        seed: start of every random stream, 0 or more.
        choice: training images that candidates are scored by; `auto` is a tenth, at most 5,000.
        winners: how many of the best are retrained from scratch; with `nsga2` along the front: the best of
            all, then the best below equal steps of MACs.
        retrain_epochs: passes of each over the training images; `auto` is training's own rule, or what fits.
        compare: retrain also the best of as many random candidates, the hand-made preset and a plain ViT of
            the winner's MACs, and say whether the search is better. Without `time` it may be added later.
        correlate: candidates, 8 or more, that are retrained for a short while to see whether the ranking is
            worth anything; 0 for none. Without `time` it may be added later.
        correlate_epochs: passes of each over the training images; with `time`, a fifth of it for all.
        batch_size: of training.
        lr: peak learning rate of the supernet; the retrained networks choose their own.
        precision: as `train` takes it.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`.
        devices: processes to start on this machine, which share every step of the supernet and of retraining,
            and the candidates; torchrun and Slurm start them, too.
        timeout_s: how long a step waits for another process.
        image_size: pixels; `auto` is the median of the images, rounded to a multiple of 4.
        latency_batch: images of the batch that latency and memory are measured with.
        storage: database of the ledger, such as `postgresql://…`; by default a SQLite file in the folder.
        worker: help a search that is running in `out`: score candidates for it, and end with it.
        fresh: move an existing search aside instead of continuing it.
        evolution: how candidates are found.
        supernet: how the supernet is trained.
        recipe: of both trainings: optimizer, augmentation and so on.
        loading: how images are read.
    """

    data: list[str] = field(default_factory=list)
    space: str = "auto"
    budget: str = ""
    time: str | None = None
    out: str | None = None
    seed: int = 0
    choice: int | Literal["auto"] = "auto"
    winners: int = 2
    retrain_epochs: int | Literal["auto"] = "auto"
    compare: bool = False
    correlate: int = 0
    correlate_epochs: int = 5
    batch_size: int | Literal["auto"] = "auto"
    lr: float | Literal["auto"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    devices: int = 1
    timeout_s: float = 600.0
    image_size: int | Literal["auto"] = "auto"
    latency_batch: int = 1
    storage: str | None = None
    worker: bool = False
    fresh: bool = False
    evolution: Evolution = field(default_factory=Evolution)
    supernet: Training = field(default_factory=Training)
    recipe: Recipe = field(default_factory=Recipe)
    loading: Loading = field(default_factory=Loading)
