"""The training loop, visible in one place: batch → augment → backward → update → validate → checkpoint.

Everything that the loop knows is in a checkpoint: the number of the next step, weights, optimizer, the best
weights so far, and the unfinished means of the log. All randomness is a function of (seed, stream, step),
so a run that was killed and continued takes the same steps, to the bit, as one that was not.

The best weights or average by `stopping.py` is what the model folder gets.

Several processes run this loop side by side (`world.py`). What could part them goes into the one small sum of
each step: the loss, whether anyone was told to stop, and whether the first finds a checkpoint due. So all
stop after the same step. Only the first writes.
"""

import errno
import io
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from vitreous.data.augment import Augmentation
from vitreous.data.batch import Batch
from vitreous.data.batches import Batches
from vitreous.errors import ConfigError, DivergedError, StoppedError, VitreousError
from vitreous.training.checkpoint import Checkpoint, Weights, save_checkpoint
from vitreous.training.checkpoint_parts import write_parts
from vitreous.training.divergence import investigate, investigate_validation
from vitreous.training.interruption import Interruption
from vitreous.training.memory import is_out_of_memory, largest_that_fits, out_of_memory_sentence
from vitreous.training.metrics_log import MetricsLog
from vitreous.training.objective import Shown
from vitreous.training.on_track import Curve
from vitreous.training.pace import FEWEST, Pace
from vitreous.training.plan import Plan
from vitreous.training.probes import Probes
from vitreous.training.progress import ProgressLine
from vitreous.training.settings import Saving, Stopping
from vitreous.training.spikes import SpikeWatch
from vitreous.training.step import TrainStep
from vitreous.training.stopping import Judge, stopping_sentence
from vitreous.training.tally import HEADLINES, headline_of
from vitreous.training.validation import validate

FULL = (errno.ENOSPC, errno.EDQUOT)
logger = logging.getLogger("vitreous")


@dataclass
class Window:
    """Means since the last training event; sums are kept exactly across a checkpoint."""

    steps: int = 0
    loss: float = 0.0
    norm: float = 0.0
    step_s: float = 0.0
    data_s: float = 0.0


@dataclass
class Loop:
    """A run in progress.

    Args:
        trainee: model, optimizer and average.
        plan: what to do.
        train: batches of the training images.
        val: batches of the validation images.
        augment: what is done to training batches.
        folder: run folder.
        saving: when to write checkpoints.
        interruption: tells of signals.
        begun: `time.perf_counter()` at the start of this process's part of the run.
        curve: known accuracies that validations are held against, None for none.
        judge: compares validations and says when none gets better any more.
        probes: what looks inside the model after validations, None for nothing.
        probe_every: validations from one look to the next.
        tensorboard: whether the metrics are also written in TensorBoard's format.
        pace: leaves steps out where a given time would not be enough, None where no time is given.
    """

    trainee: TrainStep
    plan: Plan
    train: Batches
    val: Batches
    augment: Augmentation
    folder: Path
    saving: Saving
    interruption: Interruption
    begun: float
    curve: Curve | None = None
    judge: Judge = field(default_factory=lambda: Judge(Stopping()))
    probes: Probes | None = None
    probe_every: int = 1
    tensorboard: bool = False
    pace: Pace | None = None
    step: int = 0
    taken: int = 0
    best: dict[str, Any] | None = None
    best_weights: Weights = field(default_factory=dict)
    latest: dict[str, float] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    spikes: SpikeWatch = field(default_factory=SpikeWatch)
    wall_before: float = 0.0

    def __post_init__(self) -> None:
        self._pending: tuple[Tensor, int] | None = None
        self._saved_step = -1
        self._last_save = time.perf_counter()
        self._orders = (False, False)
        self._log: MetricsLog | None = None
        self._world = self.trainee.world
        self._waits = self.trainee.device.type == "cpu"  # reading a result costs nothing there
        self._measured = Window()  # since this process began
        self._val_s = 0.0

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to where a checkpoint was written."""
        state = checkpoint.state
        self.trainee.load(dict(checkpoint.weights), checkpoint.optimizer)
        self.best_weights = dict(checkpoint.weights.get("best", {}))
        self.step = self._saved_step = state["step"]
        self.taken = state.get("taken", self.step)
        if self.pace is not None and "pace" in state:
            self.pace = Pace(**state["pace"])
        self.best = state["best"]
        self.latest = state["latest"]
        self.window = Window(**state["window"])
        if self.train.unreadable is not None:
            self.train.unreadable.update(state.get("unreadable", []))
        self.spikes = SpikeWatch(state.get("spikes"))
        self.judge.restore(state.get("judge"))
        self.wall_before = state["wall_s"]

    def run(self, metrics_bytes: int = 0) -> None:
        """Train to the end.

        Args:
            metrics_bytes: how much of an existing `metrics.jsonl` belongs to the steps before.

        Raises:
            StoppedError: told to stop; a checkpoint was written.
            DivergedError: a loss or gradient that is not finite; no checkpoint was written.
            ConfigError: out of memory.
            VitreousError: the disk is full where a checkpoint must be written.
        """
        plan = self.plan
        line = ProgressLine(
            total_steps=plan.total_steps,
            steps_per_epoch=plan.steps_per_epoch,
            batch_size=plan.batch_size,
            console=None if self._world.first else Console(file=io.StringIO()),
        )
        self._log = (
            MetricsLog(self.folder, size=metrics_bytes, tensorboard=self.tensorboard)
            if self._world.first
            else None
        )
        try:
            with self.interruption.postponed(), line:
                if self._saved_step < 0:
                    self._save(must=True)
                self._train(line)
                self._save(must=True)
        finally:
            if self._log is not None:
                self._log.close()

    def _train(self, line: ProgressLine) -> None:
        plan = self.plan
        batches = self.train.from_step(self.step)
        self._last_save = before = time.perf_counter()
        while self.step < plan.total_steps and not self.judge.ended:
            batch = next(batches)
            if self.pace is None or self.pace.takes(self.step):
                self._take(batch, before, line)
            self.step += 1
            last = self.step == plan.total_steps
            if self.step % plan.log_steps == 0 or last:
                self._log_training()
                self._keep_pace(line)
            if self.step % plan.eval_steps == 0 or last:
                self._validate(line)
            told, due = self._asked() if self._world.alone else self._orders
            stopping = told and not last
            if stopping or due:
                self._save(must=stopping)
                self._last_save, self._orders = time.perf_counter(), (told, False)
            if stopping:
                raise StoppedError(
                    f"stopped at step {self.step} of {plan.total_steps} with a checkpoint in {self.folder}; "
                    "the same command continues",
                    self.interruption.exit_code,
                )
            before = time.perf_counter()
        if self.step < plan.total_steps:
            self._log_training()
            line.say(stopping_sentence(self.judge, self.step, plan, self.trainee.schedule.set(self.step - 1)))

    def _take(self, batch: Batch, before: float, line: ProgressLine) -> None:
        """A step with a batch that was asked for at `before`."""
        shown = self.trainee.objective.show(batch, self.augment, self.step)
        got = time.perf_counter()
        loss, norm = self._move(shown)
        self.taken += 1
        step_s, data_s = time.perf_counter() - before, got - before
        self.window.step_s += step_s
        self.window.data_s += data_s
        self._measured.steps += 1
        self._measured.step_s += step_s
        line.step(self.step + 1, loss=loss, lr=self.trainee.lr, norm=norm, step_s=step_s, data_s=data_s)

    def _keep_pace(self, line: ProgressLine) -> None:
        """Leave steps out where the rest would take longer than there is time."""
        if self.pace is None or self.step == self.plan.total_steps or self._measured.steps < FEWEST:
            return
        step_s, spent_s = self._measured.step_s / self._measured.steps, self._wall_s
        changed = self.pace.adjust(
            self.step,
            spent_s=spent_s,
            step_s=step_s,
            validation_s=self._val_s,
            eval_steps=self.plan.eval_steps,
        )
        changed, self.pace = self._world.from_first((changed, self.pace))
        if changed:
            line.say(
                f"a step takes {1e3 * step_s:.0f} ms and {self.pace.budget_s - spent_s:.0f} s are left: of "
                f"{self.plan.total_steps - self.step:,} steps {self.pace.take:,} are taken"
            )
            self._last_save = -math.inf  # a run that continues from here keeps this pace

    def _move(self, shown: Shown) -> tuple[float, float]:
        """One step; (loss, gradient norm) of it, or on a GPU of the step before."""
        try:
            measured = self._agreed(self.trainee.backward(shown, self.step))
            if self._waits:
                values = self._count(measured, self.step, shown)  # before the weights move
                self.trainee.update()
                return values
            self.trainee.update()
            earlier, self._pending = self._pending, (measured, self.step)
            return self._count(*earlier) if earlier else (math.nan, math.nan)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if not self._world.alone:
                raise ConfigError(self._too_large()) from error
            one = shown.repeated(1)
        del shown  # the failed step's memory, before smaller ones are tried
        fits = largest_that_fits(lambda size: self._attempt(one, size), self.plan.batch_size)
        raise ConfigError(out_of_memory_sentence(self.plan.batch_size, str(self.trainee.device), fits))

    def _too_large(self) -> str:
        # smaller batches are not tried here: the other processes would wait
        own, size = self.plan.batch_size // self._world.size, self._world.size
        return (
            f"out of memory on {self.trainee.device}: {own} images in each of {size} processes do not fit; "
            f"--batch-size {max(1, own // 2) * size}, --recipe.accumulate {2 * self.plan.recipe.accumulate}, "
            "or more processes need less"
        )

    def _asked(self) -> tuple[bool, bool]:
        """Whether this process was told to stop, and whether it finds a checkpoint due."""
        due = time.perf_counter() - self._last_save >= self.saving.every_s
        return self.interruption.requested is not None, due

    def _agreed(self, measured: Tensor) -> Tensor:
        """Loss and norm of the whole batch, and, of several processes, what was asked of any."""
        if self._world.alone:
            return measured
        loss, norm = measured
        stop, due = self._asked()
        asked = torch.tensor([stop, due and self._world.first], dtype=loss.dtype, device=loss.device)
        summed = self._world.sum(torch.cat([loss[None] / self._world.size, asked]))
        return torch.cat([summed[:1], norm[None], summed[1:]])

    def _attempt(self, one: Shown, size: int) -> None:
        """A forward and backward pass over the same image again and again."""
        self.trainee.optimizer.zero_grad(set_to_none=True)
        self.trainee.forward_and_backward(one.repeated(size))

    def _settle(self) -> None:
        """Read what is still on its way, so that nothing is saved or logged that was not looked at."""
        if self._pending:
            earlier, self._pending = self._pending, None
            self._count(*earlier)

    def _count(self, measured: Tensor, step: int, shown: Shown | None = None) -> tuple[float, float]:
        """Add a step to the means, or stop where it is not finite; `shown` if weights are still as then."""
        loss, norm, *asked = measured.tolist()
        self._orders = (any(asked[:1]), any(asked[1:]))
        scaled = self.plan.precision == "float16"  # its scaler skips steps whose gradients overflow
        if not math.isfinite(loss) or not (math.isfinite(norm) or scaled):
            what = "loss" if not math.isfinite(loss) else "gradient norm"
            self._diverged(what, loss, norm, step, self._cause(what, step, shown))
        self.window.steps += 1
        self.window.loss += loss
        self.window.norm += norm if math.isfinite(norm) else 0.0
        if spike := self.spikes.see(loss):
            logger.warning(
                "loss spike at step %d (epoch %.2f): %.3f, where %.3f ± %.3f is usual; lr %.1e, "
                "gradient norm %.2f; training goes on",
                step, step / self.plan.steps_per_epoch, spike.loss, spike.median, spike.deviation,
                self.trainee.lr, norm,
            )  # fmt: skip
        return loss, norm

    def _diverged(self, what: str, loss: float, norm: float, step: int, where: str) -> None:
        newest = "none is written yet" if self._saved_step < 0 else f"step {self._saved_step} is kept"
        value = norm if what == "gradient norm" else loss
        raise DivergedError(
            f"{what} is {value} at step {step} (epoch {step / self.plan.steps_per_epoch:.2f}, "
            f"lr {self.trainee.schedule.set(step):.2e}){where}; training stopped, the last good checkpoint "
            f"({newest}) is in {self.folder / 'checkpoints'}; a lower rate such as "
            f"--lr {min(self.plan.lr / 3, 1e-3):.1e} often helps"
        )

    def _cause(self, what: str, step: int, shown: Shown | None) -> str:
        """Where a step stopped being finite, as a clause."""
        if self._in_parts:
            return ""
        facts = {"what": what, "epoch": step / self.plan.steps_per_epoch, "checkpoint": self._saved_step}
        where = investigate(
            self.trainee, self.plan, self._own_folder, step, shown,
            train=self.train, augment=self.augment, facts=facts,
        )  # fmt: skip
        return self._first_told(where)

    @property
    def _in_parts(self) -> bool:
        """Whether no process can run the model by itself, to look again at a batch of its own."""
        return self.plan.sharding == "fsdp" and not self._world.alone

    @property
    def _own_folder(self) -> Path:
        """Where this process keeps what failed."""
        return self.folder if self._world.first else self.folder / "debug" / f"rank{self._world.rank}"

    def _first_told(self, where: str) -> str:
        """Of what the processes found in their parts of a batch, the first that is something."""
        told = self._world.gathered(where)
        return next((each for each in told if "first in" in each), told[0])

    def _log_training(self) -> None:
        self._settle()
        if not self.window.steps:
            return
        window, self.window = self.window, Window()
        steps = window.steps
        self.latest |= {"train/loss": window.loss / steps}
        values = {
            "train/loss": window.loss / steps,
            "optim/lr": self.trainee.lr,
            "optim/grad_norm": window.norm / steps,
            "time/step_s": window.step_s / steps,
            "time/data_s": window.data_s / steps,
            "perf/img_s": steps * self.plan.batch_size / window.step_s,
        }
        if self.train.unreadable is not None:
            self.train.unreadable.update(*self._world.gathered(self.train.unreadable))
            values["data/unreadable"] = len(self.train.unreadable)
        if self._log is not None:
            self._log.write(self._keys(), values)

    def _validate(self, line: ProgressLine) -> None:
        self._settle()
        begin = time.perf_counter()
        values: dict[str, float] = {}
        judged: list[dict[str, float]] = []
        candidates = {"val": self.trainee.model}
        if self.trainee.average is not None:
            candidates["val_ema"] = self.trainee.average.module
        for name, model in candidates.items():
            found = validate(
                model,
                self.val.all(),
                self.plan.preprocessing,
                precision=self.plan.precision,
                world=self._world,
            )
            if not math.isfinite(found["loss"]):
                facts = {"what": f"{name}/loss", "checkpoint": self._saved_step}
                where = (
                    ""
                    if self._in_parts
                    else self._first_told(
                        investigate_validation(model, self.plan, self._own_folder, self.step, self.val, facts)
                    )
                )
                self._diverged(f"{name}/loss", found["loss"], math.nan, self.step - 1, where)
            values |= {f"{name}/{key}": value for key, value in found.items()}
            if self.judge.better(found, self.best):
                self.best = {
                    "step": self.step,
                    "epoch": self.step / self.plan.steps_per_epoch,
                    "weights": "averaged" if name == "val_ema" else "plain",
                    **found,
                }
                self.best_weights = {
                    key: value.detach().to("cpu", copy=True).contiguous()
                    for key, value in self.trainee.weights_of(model).items()
                }
            judged.append(found)
        self.judge.count(judged)
        self.latest |= values
        self._val_s = time.perf_counter() - begin
        if self._log is not None:
            told = values | {"time/val_s": self._val_s} | self._look_inside()
            self._log.write(self._keys(), told)
            self._log.write_table()
        assert self.best is not None
        metric = headline_of(self.best)
        of_average = values.get(f"val_ema/{metric}")
        averaged = "" if of_average is None else f", averaged {100 * of_average:.2f} %"
        line.say(
            f"epoch {self.step / self.plan.steps_per_epoch:.4g}/{self.plan.epochs:.4g}  "
            f"train loss {self.latest.get('train/loss', math.nan):.4f}  val loss {values['val/loss']:.4f}  "
            f"{HEADLINES[metric]} {100 * values[f'val/{metric}']:.2f} %{averaged}  "
            f"best {100 * self.best[metric]:.2f} %"
        )
        if self.curve is not None and self.curve.metric in values:
            standing = self.curve.standing(self.step / self.plan.steps_per_epoch, values[self.curve.metric])
            if standing:
                line.say(standing)

    def _look_inside(self) -> dict[str, float]:
        """What the probes measure, at every so many validations."""
        if self.probes is None or self.step // self.plan.eval_steps % self.probe_every:
            return {}
        begin = time.perf_counter()
        found = self.probes.measure(self.trainee.model)
        return found | {"time/probe_s": time.perf_counter() - begin}

    def _save(self, *, must: bool) -> None:
        """Write a checkpoint.

        Args:
            must: a full disk is an error; else it is a warning and training goes on.
        """
        if self._world.from_first(self.step == self._saved_step):
            return
        self._settle()
        in_parts = self._in_parts and self.saving.in_parts
        # of a model in parts, all processes ask together
        weights = self.trainee.weights(in_parts=in_parts)
        if self.best_weights:
            weights["best"] = self.best_weights
        optimizer = self.trainee.optimizer_state(in_parts=in_parts)
        folder, parts = self.folder / "checkpoints", None
        try:
            state = {
                **self._keys(),
                "taken": self.taken,
                **({} if self.pace is None else {"pace": vars(self.pace)}),
                "metrics_bytes": 0 if self._log is None else self._log.sync(),
                "best": self.best,
                "judge": self.judge.state(),
                "latest": self.latest,
                "window": vars(self.window),
                "unreadable": sorted(self.train.unreadable or ()),
                "spikes": self.spikes.state,
                "plan": self.plan.to_json(),
            }
            checkpoint = Checkpoint(weights=weights, optimizer=optimizer, state=state)
            if in_parts:
                checkpoint, parts = write_parts(folder, checkpoint, self._world)
            if self._log is not None:
                save_checkpoint(folder, checkpoint, keep=self.saving.keep, parts=parts)
            self._saved_step = self.step
        except OSError as error:
            if error.errno not in FULL:
                raise
            kept = "there is no earlier one" if self._saved_step < 0 else f"step {self._saved_step} is kept"
            message = f"the disk is full: the checkpoint of step {self.step} could not be written, {kept}"
            if must:
                raise VitreousError(
                    f"{message}; free some space and repeat the command to continue"
                ) from error
            logger.warning("%s; training goes on and tries again in %.0f s", message, self.saving.every_s)

    def _keys(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "epoch": round(self.step / self.plan.steps_per_epoch, 4),
            "samples": self.taken * self.plan.batch_size,
            "wall_s": round(self._wall_s, 3),
        }

    @property
    def _wall_s(self) -> float:
        """Seconds of this run so far, pauses between its processes left out."""
        return self.wall_before + time.perf_counter() - self.begun
