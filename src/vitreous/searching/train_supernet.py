"""Training the supernet: one path a step, each step a function of its number, so that a killed run goes on.

Step, schedule, augmentation and batches are training's own. What differs is what computes the logits: the
path of the step (`strata.py`), or with `sandwich` three paths on a third of the batch each, the dearest, the
cheapest and the drawn one (Yu et al., BigNAS, ECCV 2020, there each on the whole batch). No average of the
weights is kept, as in AutoFormer: weights that a step does not use must not move.
"""

import json
import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.data.images import ImageData
from vitreous.data.loading import Loading
from vitreous.data.streams import stream_seed
from vitreous.errors import DivergedError, StoppedError
from vitreous.searching.mixing import with_mixing
from vitreous.searching.space import Genome
from vitreous.searching.strata import Paths
from vitreous.searching.supernet import Supernet
from vitreous.training.assemble import make_augmentation, make_objective, make_step, make_train_batches
from vitreous.training.checkpoint import Checkpoint, load_newest, remove_unfinished, save_checkpoint
from vitreous.training.interruption import Interruption
from vitreous.training.objective import Shown
from vitreous.training.plan import Plan
from vitreous.training.progress import ProgressLine
from vitreous.training.time_budget import measure_step

logger = logging.getLogger("vitreous")


class PathForward(nn.Module):
    """What computes the logits of a step: its paths, one after the other for its micro-batches."""

    def __init__(self, net: Supernet, paths: Paths, *, sandwich: bool) -> None:
        super().__init__()
        self._ask = [net]  # in a list: the step owns the supernet, this only asks it
        self.paths, self.sandwich = paths, sandwich
        self._turn = 0
        self._now: list[Genome] = []
        if sandwich:
            self._outer = [paths.space.dearest("macs"), paths.space.cheapest("macs")]

    def begin(self, step: int) -> None:
        """Take the paths of a step."""
        drawn = [self.paths.of_step(step)]
        self._now = [*self._outer, *drawn] if self.sandwich else drawn
        self._turn = 0

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the next path."""
        genome = self._now[self._turn % len(self._now)]
        self._turn += 1
        logits: Tensor = self._ask[0](images, genome)
        return logits


class SupernetTraining:
    """A supernet with all that changes while it trains.

    Args:
        plan: of `decide`, over the search's data; its `config` is any model of the space.
        data: of `open_search_data`.
        paths: which path trains when.
        loading: how images are read.
        sandwich: see the module.
        folder: where checkpoints and `metrics.jsonl` are kept.
    """

    def __init__(
        self, plan: Plan, data: ImageData, paths: Paths, *, loading: Loading, sandwich: bool, folder: Path
    ) -> None:
        if sandwich:
            size = max(3, plan.batch_size // 3 * 3)
            plan = replace(plan, recipe=replace(plan.recipe, accumulate=3), batch_size=size)
        self.plan, self.folder = plan, folder
        torch.manual_seed(stream_seed(plan.seed, "init"))
        rates = plan.recipe
        self.net = Supernet(
            paths.space,
            dropout=rates.dropout,
            attention_dropout=rates.attention_dropout,
            drop_path=rates.drop_path,
        ).to(plan.device, torch.float64 if plan.precision == "float64" else None)
        self.batches = make_train_batches(plan, data, loading)
        self._augment = make_augmentation(plan)
        self._objective = make_objective(plan, data, loading).to(plan.device)
        self._forward = PathForward(self.net, paths, sandwich=sandwich)

    def step_seconds(self, most_s: float) -> float:
        """Median seconds of a step; the weights stay as they are."""
        trial = self._trainee(1_000_000)

        def take(batch: Any, step: int) -> None:
            self._take(trial, self._objective.show(batch, self._augment, step), step)
            trial.update()

        return measure_step(self.net, take, self.batches.from_step(0), most_s=most_s)

    def run(self, total_steps: int, *, interruption: Interruption, save_s: float) -> Supernet:
        """Train to the end, from the newest checkpoint where there is one; returns the trained supernet.

        Raises:
            DivergedError: a loss that is not finite.
            StoppedError: told to stop; a checkpoint was written.
        """
        trainee = self._trainee(total_steps)
        checkpoints = self.folder / "checkpoints"
        remove_unfinished(checkpoints)
        checkpoint = load_newest(checkpoints)
        first = 0
        if checkpoint is not None:
            trainee.load(dict(checkpoint.weights), checkpoint.optimizer)
            first = checkpoint.state["step"]
        if first >= total_steps:
            return self._done()

        self._augment = with_mixing(self._augment, self.plan, total_steps)

        def save(step: int) -> None:
            state = {"step": step, "total_steps": total_steps}
            save_checkpoint(
                checkpoints,
                Checkpoint(weights=trainee.weights(), optimizer=trainee.optimizer_state(), state=state),
                keep=1,
            )

        plan, saved = self.plan, time.monotonic()
        line = ProgressLine(
            total_steps=total_steps, steps_per_epoch=plan.steps_per_epoch, batch_size=plan.batch_size
        )
        with interruption.postponed(), line:
            begin = time.perf_counter()
            for step, batch in zip(range(first, total_steps), self.batches.from_step(first), strict=False):
                waited = time.perf_counter() - begin
                shown = self._objective.show(batch, self._augment, step)
                loss, norm = self._take(trainee, shown, step).tolist()
                if not math.isfinite(loss) or not math.isfinite(norm):
                    raise DivergedError(
                        f"supernet, step {step}: the loss is {loss} and the gradient norm {norm}; a lower "
                        "--lr, or --precision float32, works more often than not"
                    )
                trainee.update()
                now = time.perf_counter()
                line.step(step + 1, loss=loss, lr=trainee.lr, norm=norm, step_s=now - begin, data_s=waited)
                begin = now
                if step % 50 == 0:
                    self._note({"step": step, "train/loss": loss, "optim/grad_norm": norm})
                if interruption.requested is not None:
                    save(step + 1)
                    raise StoppedError(
                        f"stopped by {interruption.requested.name} after step {step + 1} of {total_steps} of "
                        "the supernet; the same command continues",
                        interruption.exit_code,
                    )
                if time.monotonic() - saved > save_s:
                    save(step + 1)
                    saved = time.monotonic()
        save(total_steps)
        return self._done()

    def _take(self, trainee: Any, shown: Shown, step: int) -> Tensor:
        self._forward.begin(step)
        result: Tensor = trainee.backward(shown, step)
        return result

    def _trainee(self, total_steps: int) -> Any:
        plan = replace(self.plan, total_steps=total_steps, recipe=replace(self.plan.recipe, ema=False))
        return make_step(plan, self.net, self._forward, self._objective)

    def _done(self) -> Supernet:
        self.net.zero_grad(set_to_none=True)
        return self.net.eval()

    def _note(self, event: dict[str, float]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")
