"""The learning rate of every step: a warm-up, then a cosine or a straight line down to the final rate.

timm's `CosineLRScheduler`, or its `PolyLRScheduler` of power 1, counted in steps. The rate is a pure
function of the step number, so a continued run needs nothing but the step; groups with `lr_scale` get that
share of it:

    lr(t) = start + (peak − start) · t / W                                for t = 1 … W     (warm-up)
    lr(t) = end + (peak − end) / 2 · (1 + cos(π (t − W) / (D − W)))       for t = W … D,    t = step + 1
    lr(t) = end + (peak − end) · (1 − (t − W) / (D − W))                  where `schedule` is linear
    lr(t) = end                                                           for t = D … T     (cool-down)

Two other ways of counting are those of published training loops, whose rates they give exactly. `epoch` is
timm's own loop: the rate stands still within an epoch, epoch e has that of t = e with t from 0, and the fall
is counted from the beginning of the run, warm-up included. `late_epoch` is DeiT's loop and EIT's: the same,
but epoch e has t = max(e − 1, 0), since the schedule is stepped after an epoch with that epoch's number.
"""

import torch
from timm.scheduler import CosineLRScheduler, PolyLRScheduler  # type: ignore[attr-defined]

from vitreous.training.recipe import Recipe


class Schedule:
    """Sets the learning rate of a step.

    Args:
        optimizer: its groups' `initial_lr` (or `lr`) is the peak.
        total_steps: optimizer steps of the whole run, at least 1.
        warmup: share of them spent raising the rate linearly, 0 to 1.
        final_lr: the last step's rate as a share of the peak.
        shape: `cosine` or `linear`.
        steps_per_epoch: what an epoch is, for what is counted in epochs.
        warmup_epochs: length of the warm-up instead of a share.
        warmup_lr: where the warm-up starts from.
        min_lr: the last step's rate instead of a share.
        cooldown_epochs: epochs at the end with the last rate.
        moves: when the rate changes: every `step`, every `epoch`, or every `late_epoch`.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        total_steps: int,
        warmup: float,
        final_lr: float,
        shape: str = "cosine",
        steps_per_epoch: int = 1,
        warmup_epochs: float | None = None,
        warmup_lr: float = 0.0,
        min_lr: float | None = None,
        cooldown_epochs: float = 0.0,
        moves: str = "step",
    ) -> None:
        wanted = warmup * total_steps if warmup_epochs is None else warmup_epochs * steps_per_epoch
        self.warmup_steps = min(round(wanted), total_steps - 1)
        groups = optimizer.param_groups
        peak = groups[0].get("initial_lr", groups[0]["lr"])
        self._optimizer = optimizer
        self._whole = next((place for place, each in enumerate(groups) if "lr_scale" not in each), 0)
        self._steps_per_epoch, self._moves = steps_per_epoch, moves
        form = {"cosine": (CosineLRScheduler, {}), "linear": (PolyLRScheduler, {"power": 1.0})}
        scheduler, more = form[shape]
        falling = total_steps - round(cooldown_epochs * steps_per_epoch)
        unit = 1 if moves == "step" else steps_per_epoch
        self._falling = scheduler(
            optimizer,
            # timm warns at 1, where no cosine fits
            t_initial=max(2, (falling - (self.warmup_steps if moves == "step" else 0)) // unit),
            lr_min=final_lr * peak if min_lr is None else min_lr,
            warmup_t=self.warmup_steps if moves == "step" else round(wanted / unit),
            warmup_lr_init=warmup_lr,
            warmup_prefix=moves == "step",
            t_in_epochs=moves != "step",
            **more,
        )

    def set(self, step: int) -> float:
        """Put the rate of `step` (from 0) into the optimizer and return it."""
        if self._moves == "step":
            # from 1, so that the first step moves and the last one is at the end
            self._falling.step_update(step + 1)
        else:
            epoch = step // self._steps_per_epoch
            self._falling.step(epoch if self._moves == "epoch" else max(epoch - 1, 0))
        return self.lr

    @property
    def lr(self) -> float:
        """The rate of the newest step, of parameters that have all of it."""
        return float(self._optimizer.param_groups[self._whole]["lr"])


def make_schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, *, total_steps: int, steps_per_epoch: int
) -> Schedule:
    """The schedule of a recipe.

    Args:
        optimizer: with the peak as its rate.
        recipe: gives the form.
        total_steps: optimizer steps of the whole run.
        steps_per_epoch: of the run.
    """
    return Schedule(
        optimizer,
        total_steps=total_steps,
        warmup=recipe.warmup,
        final_lr=recipe.final_lr,
        shape=recipe.schedule,
        steps_per_epoch=steps_per_epoch,
        warmup_epochs=recipe.warmup_epochs,
        warmup_lr=recipe.warmup_lr,
        min_lr=recipe.min_lr,
        cooldown_epochs=recipe.cooldown_epochs,
        moves=recipe.lr_moves,
    )
