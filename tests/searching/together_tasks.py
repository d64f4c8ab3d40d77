"""What the tests of a search in several processes do in each of them; with one process, in the test's own."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.searching.spaces import tiny_psvit
from tests.training.together_tasks import main
from vitreous.data.loading import Loading
from vitreous.errors import StoppedError
from vitreous.models.as_json import to_json
from vitreous.parts import ConvStem
from vitreous.searching.budget import Budget
from vitreous.searching.score import Scorer
from vitreous.searching.space import Genome, Space
from vitreous.searching.splits import open_search_data
from vitreous.searching.strata import Paths
from vitreous.searching.train_supernet import SupernetTraining
from vitreous.training.assemble import make_train_batches, make_val_batches
from vitreous.training.decide import decide
from vitreous.training.interruption import Interruption
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings
from vitreous.training.world import joined

LOADING = Loading(limit=160)


def space_with(norm: bool) -> Space:
    """The tiny PSViT space, with a BatchNorm in the stem where it is asked for."""
    space = tiny_psvit(depth=6)
    return Space(replace(space.config, stem=ConvStem((8,)))) if norm else space


def train_supernet(
    folder: str,
    steps: int = 12,
    precision: str = "float64",
    sandwich: bool = False,
    norm: bool = False,
    stop_after: int | None = None,
    told: int = 0,
    **recipe: Any,
) -> dict[str, Any]:
    """Train a supernet.

    Args:
        folder: of the search; what is there is continued.
        steps: in all.
        precision: of the plan.
        sandwich: whether the dearest and the cheapest path train, too.
        norm: whether the stem has a BatchNorm.
        stop_after: the step after which one process is told to stop.
        told: which process.
        recipe: changes of the recipe.

    Returns:
        The loss of every step, its paths with how many weights moved, whether the weights on them and no
        others had a gradient and none but these moved, all weights at the end, and a score.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    space = space_with(norm)
    losses: list[float] = []
    paths: list[tuple[list[Genome], int]] = []
    honest: list[bool] = []
    with joined(device="cpu", timeout_s=60) as world:
        data = world.led(
            lambda: open_search_data("digits", loading=LOADING, seed=0, split_file=place / "split.csv")
        )
        settings = TrainSettings(
            data=["digits"],
            model=json.dumps(to_json(space.resolve(space.cheapest("macs")))),
            epochs=4,
            batch_size=24,
            lr=3e-3,
            precision=precision,  # type: ignore[arg-type]
            device="cpu",
            compile=False,
            recipe=Recipe(**{"ema": False, "drop_path": 0.0, "mixup": 0.2, "cutmix": 1.0} | recipe),
            loading=LOADING,
        )
        plan = world.by_first(lambda: decide(settings, data, world.size))
        chosen = Paths(space, Budget(macs=space.range_of("macs")[1]), 0)
        training = SupernetTraining(
            plan, data, chosen, loading=LOADING, sandwich=sandwich, folder=place, world=world
        )
        make, agreed = training._trainee, training._agreed

        def trainee(total: int) -> Any:
            made = make(total)
            update = made.update

            def updating() -> None:
                before = {name: each.detach().clone() for name, each in training.net.named_parameters()}
                update()
                after = dict(training.net.named_parameters())
                moved = {name for name, each in before.items() if not torch.equal(each, after[name])}
                used = set().union(*(training.net.used(each) for each in training._forward._now))
                honest.append({name for name, it in after.items() if it.grad is not None} == used >= moved)
                paths.append((training._forward._now, len(moved)))

            made.update = updating
            return made

        def noting(measured: Tensor, stop: bool, due: bool) -> Any:
            stop = stop or (len(losses) == (stop_after or 0) - 1 and world.rank == told)
            found = agreed(measured, stop, due)
            losses.append(found[0])
            return found

        training._trainee, training._agreed = trainee, noting  # type: ignore[method-assign,assignment]
        stopped = None
        try:
            training.run(steps, interruption=Interruption(), save_s=1e9)
        except StoppedError as error:
            stopped = str(error)
        weights = {name: each.detach().clone() for name, each in training.net.state_dict().items()}
        scorer = Scorer(
            training.net.float(),
            make_val_batches(plan, data, LOADING),
            plan.preprocessing,
            precision="float32",
            calibration=make_train_batches(plan, data, LOADING),
        )
        # another path in each process: nothing may wait for the others here
        own = [genome for genome, *_ in space.all()][world.rank]
        return {
            "losses": losses,
            "paths": paths,
            "honest": honest,
            "stopped": stopped,
            "weights": weights,
            "score": scorer.score(own).top1,
        }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), train_supernet)
