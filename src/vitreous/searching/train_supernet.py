"""Training the supernet: one path a step, each step a function of its number, so that a killed run goes on.

Step, schedule, augmentation and batches are training's own. What differs is what computes the logits: the
path of the step (`strata.py`), or with `sandwich` three paths, the dearest, the cheapest and the drawn one,
on every third image each (Yu et al., BigNAS, ECCV 2020, there each on the whole batch). No average of the
weights is kept, as in AutoFormer: weights that a step does not use must not move.

Several processes take the same path at the same step, for it is drawn from the step's number. DDP averages
the gradients of the weights on it; the others have none in any process, so no optimizer moves them. Which
images a path of a sandwich is shown depends on their place in the whole batch alone.
"""

import io
import json
import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from vitreous.data.images import ImageData
from vitreous.data.loading import Loading
from vitreous.data.streams import stream_seed
from vitreous.errors import ConfigError, DivergedError, StoppedError
from vitreous.searching.mixing import with_mixing
from vitreous.searching.space import Genome
from vitreous.searching.strata import Paths
from vitreous.searching.supernet import Supernet
from vitreous.training.assemble import make_augmentation, make_objective, make_step, make_train_batches
from vitreous.training.checkpoint import Checkpoint, load_newest, remove_unfinished, save_checkpoint
from vitreous.training.interruption import Interruption
from vitreous.training.objective import Shown
from vitreous.training.parallel import replicated
from vitreous.training.plan import Plan
from vitreous.training.progress import ProgressLine
from vitreous.training.time_budget import measure_step
from vitreous.training.world import World

logger = logging.getLogger("vitreous")


class PathForward(nn.Module):
    """What computes the logits of a step.

    Args:
        net: whose paths are taken.
        paths: which path trains when.
        sandwich: whether the dearest and the cheapest path do at every step, too.
    """

    def __init__(self, net: Supernet, paths: Paths, *, sandwich: bool) -> None:
        super().__init__()
        self.net, self._paths = net, paths
        space = paths.space
        self._outer = [space.dearest("macs"), space.cheapest("macs")] if sandwich else []
        self._now: list[Genome] = []

    @property
    def count(self) -> int:
        """Paths of a step."""
        return len(self._outer) + 1

    def begin(self, step: int) -> None:
        """Take the paths of a step."""
        self._now = [*self._outer, self._paths.of_step(step)]

    def forward(self, images: Tensor) -> Tensor:
        """Logits; of several paths, image i takes path i mod their number, which divides the batch."""
        each = [self.net(images[number :: self.count], genome) for number, genome in enumerate(self._now)]
        return torch.stack(each, 1).flatten(0, 1)


class SupernetTraining:
    """A supernet with all that changes while it trains.

    Args:
        plan: of `decide`, over the search's data; its `config` is any model of the space.
        data: of `open_search_data`.
        paths: which path trains when.
        loading: how images are read.
        sandwich: see the module.
        folder: where checkpoints and `metrics.jsonl` are kept.
        world: the processes that train together; the first one writes. None for this one alone.

    Raises:
        ConfigError: a batch that does not divide over processes and paths.
    """

    def __init__(
        self,
        plan: Plan,
        data: ImageData,
        paths: Paths,
        *,
        loading: Loading,
        sandwich: bool,
        folder: Path,
        world: World | None = None,
    ) -> None:
        self.plan, self.folder, self.world = plan, folder, world or World()
        torch.manual_seed(stream_seed(plan.seed, "init"))
        rates = plan.recipe
        self.net = Supernet(
            paths.space,
            dropout=rates.dropout,
            attention_dropout=rates.attention_dropout,
            drop_path=rates.drop_path,
            world=self.world,
        ).to(plan.device, torch.float64 if plan.precision == "float64" else None)
        self._forward = PathForward(self.net, paths, sandwich=sandwich)
        whole_batch(plan.batch_size, self._forward.count, self.world.size, exact=True)
        self.batches = self.world.led(lambda: make_train_batches(plan, data, loading, self.world))
        self._augment = make_augmentation(plan, self.world)
        self._objective = self.world.led(lambda: make_objective(plan, data, loading).to(plan.device))
        self._shared = self._forward if self.world.alone else replicated(self._forward)

    def step_seconds(self, most_s: float) -> float:
        """Seconds of a step; the weights stay as they are."""
        trial = self._trainee(1_000_000)

        def take(batch: Any, step: int) -> None:
            self._take(trial, self._objective.show(batch, self._augment, step), step)
            trial.update()

        return measure_step(self.net, take, self.batches.from_step(0), most_s=most_s, world=self.world)

    def run(self, total_steps: int, *, interruption: Interruption, save_s: float) -> Supernet:
        """Train to the end, from the newest checkpoint where there is one; returns the trained supernet.

        Raises:
            DivergedError: a loss that is not finite.
            StoppedError: told to stop; a checkpoint was written.
        """
        trainee, world = self._trainee(total_steps), self.world
        checkpoints = self.folder / "checkpoints"
        if world.first:
            remove_unfinished(checkpoints)
        checkpoint = world.led(lambda: load_newest(checkpoints))
        first = 0
        if checkpoint is not None:
            trainee.load(dict(checkpoint.weights), checkpoint.optimizer)
            first = checkpoint.state["step"]
        if first >= total_steps:
            return self._done()

        self._augment = with_mixing(self._augment, self.plan, total_steps)

        def save(step: int) -> None:
            if not world.first:
                return
            state = {"step": step, "total_steps": total_steps}
            save_checkpoint(
                checkpoints,
                Checkpoint(weights=trainee.weights(), optimizer=trainee.optimizer_state(), state=state),
                keep=1,
            )

        plan, saved = self.plan, time.monotonic()
        line = ProgressLine(
            total_steps=total_steps,
            steps_per_epoch=plan.steps_per_epoch,
            batch_size=plan.batch_size,
            console=None if world.first else Console(file=io.StringIO()),
        )
        with interruption.postponed(), line:
            begin = time.perf_counter()
            for step, batch in zip(range(first, total_steps), self.batches.from_step(first), strict=False):
                waited = time.perf_counter() - begin
                shown = self._objective.show(batch, self._augment, step)
                due = world.first and time.monotonic() - saved > save_s
                loss, norm, stop, due = self._agreed(
                    self._take(trainee, shown, step), interruption.requested is not None, due
                )
                if not math.isfinite(loss) or not math.isfinite(norm):
                    raise DivergedError(
                        f"supernet, step {step}: the loss is {loss} and the gradient norm {norm}; a lower "
                        "--lr, or --precision float32, works more often than not"
                    )
                trainee.update()
                now = time.perf_counter()
                line.step(step + 1, loss=loss, lr=trainee.lr, norm=norm, step_s=now - begin, data_s=waited)
                begin = now
                if step % 50 == 0 and world.first:
                    self._note({"step": step, "train/loss": loss, "optim/grad_norm": norm})
                if stop:
                    save(step + 1)
                    told = interruption.requested
                    raise StoppedError(
                        f"stopped{f' by {told.name}' if told else ''} after step {step + 1} of {total_steps} "
                        "of the supernet; the same command continues",
                        interruption.exit_code,
                    )
                if due:
                    save(step + 1)
                    saved = time.monotonic()
        save(total_steps)
        world.wait()  # for what the first has written
        return self._done()

    def _agreed(self, measured: Tensor, stop: bool, due: bool) -> tuple[float, float, bool, bool]:
        """Loss and norm of the whole batch, whether any process was told to stop, and whether to save."""
        if self.world.alone:
            loss, norm = measured.tolist()
            return loss, norm, stop, due
        asked = torch.tensor([stop, due], dtype=measured.dtype, device=measured.device)
        loss, stopping, saving = self.world.sum(torch.cat([measured[:1] / self.world.size, asked])).tolist()
        return loss, float(measured[1]), stopping > 0, saving > 0

    def _take(self, trainee: Any, shown: Shown, step: int) -> Tensor:
        self._forward.begin(step)
        result: Tensor = trainee.backward(shown, step)
        return result

    def _trainee(self, total_steps: int) -> Any:
        plan = replace(self.plan, total_steps=total_steps, recipe=replace(self.plan.recipe, ema=False))
        return make_step(plan, self.net, self._shared, self._objective, self.world)

    def _done(self) -> Supernet:
        self.net.leave()
        self.net.zero_grad(set_to_none=True)
        return self.net.eval()

    def _note(self, event: dict[str, float]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")


def whole_batch(size: int, paths: int, processes: int, *, exact: bool = False) -> int:
    """The nearest smaller batch, of one image for each at least, that divides over processes and paths.

    Args:
        size: images.
        paths: of a step.
        processes: that train together.
        exact: whether only `size` itself will do.

    Raises:
        ConfigError: `exact`, and it does not divide.
    """
    parts = paths * processes
    found = max(parts, size // parts * parts)
    if exact and found != size:
        raise ConfigError(
            f"the supernet's batch of {size} does not divide into {parts} equal parts ({paths} "
            f"path{'s' * (paths > 1)} × {processes} process{'es' * (processes > 1)}); "
            f"--batch-size {found} does"
        )
    return found
