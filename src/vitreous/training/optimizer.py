"""The optimizer over its parameter groups, and the learning rate of every step.

`adamw` is torch's (Loshchilov & Hutter 2019), its fused kernel where the device has one; `muon` is timm's
(Jordan et al. 2024), one object that moves hidden weights W along their orthogonalised momentum and all
others by AdamW:

    M ← μ·M + (1 − μ)·G,   W ← W − η·0.2·√max(rows, columns) · orthogonal((1 − μ)·G + μ·M)

five Newton-Schulz steps making it about orthogonal, kernels as matrices (out, in · height · width), with the
scale of Liu et al. 2025 (arXiv 2502.16982), at which an update is as large as AdamW's, so that both may have
one learning rate. Every other name is made by timm's factory. Which parameters stand in which group:
`parameter_groups.py`.

Schedule: timm's `CosineLRScheduler`, or `PolyLRScheduler` of power 1, counted in steps. It is a pure
function of the step number, so a continued run needs nothing but the step; groups with `lr_scale` get that
share of it:

    lr(t) = peak · t / W                                                  for t = 1 … W     (warm-up)
    lr(t) = end + (peak − end) / 2 · (1 + cos(π (t − W) / (T − W)))       for t = W … T,    t = step + 1
    lr(t) = end + (peak − end) · (1 − (t − W) / (T − W))                  where `schedule` is linear
"""

from typing import Any

import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.scheduler import CosineLRScheduler, PolyLRScheduler  # type: ignore[attr-defined]
from torch import nn

from vitreous.training.optimizer_names import MUON, choose_moments
from vitreous.training.parameter_groups import parameter_groups
from vitreous.training.recipe import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe, *, lr: float) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters of `model` that are trained.

    Args:
        model: a model of `vitreous.build`, on its device.
        recipe: gives optimizer, weight decay, layer decay and moments.
        lr: peak learning rate.
    """
    recipe, name = choose_moments(recipe), recipe.optimizer
    groups = parameter_groups(
        model, weight_decay=recipe.weight_decay, layer_decay=recipe.layer_decay, muon=name == MUON
    )
    given: dict[str, Any] = {} if recipe.betas == "auto" else {"betas": recipe.betas}
    if name == "adamw":
        fused = next(model.parameters()).device.type in ("cpu", "cuda")
        return torch.optim.AdamW(groups, lr=lr, fused=fused, **given)
    if name == MUON:
        for group in groups:
            if group.get("use_muon"):
                group["nesterov"] = True
                group["lr_scale"] = group.get("lr_scale", 1.0) * recipe.muon_lr_scale
            else:
                group |= {"nesterov": False, "eps": 1e-8}  # plain AdamW with torch's epsilon
    assert recipe.momentum != "auto"
    return create_optimizer_v2(groups, name, lr=lr, momentum=recipe.momentum, **given)


class Schedule:
    """Sets the learning rate of a step.

    Args:
        optimizer: its groups' `initial_lr` (or `lr`) is the peak.
        total_steps: optimizer steps of the whole run, at least 1.
        warmup: share of them spent raising the rate linearly, 0 to 1.
        final_lr: the last step's rate as a share of the peak.
        shape: `cosine` or `linear`.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        total_steps: int,
        warmup: float,
        final_lr: float,
        shape: str = "cosine",
    ) -> None:
        self.warmup_steps = min(round(warmup * total_steps), total_steps - 1)
        groups = optimizer.param_groups
        peak = groups[0].get("initial_lr", groups[0]["lr"])
        self._optimizer = optimizer
        self._whole = next((place for place, each in enumerate(groups) if "lr_scale" not in each), 0)
        form = {"cosine": (CosineLRScheduler, {}), "linear": (PolyLRScheduler, {"power": 1.0})}
        scheduler, more = form[shape]
        self._falling = scheduler(
            optimizer,
            t_initial=max(2, total_steps - self.warmup_steps),  # timm warns at 1, where no cosine fits
            lr_min=final_lr * peak,
            warmup_t=self.warmup_steps,
            warmup_prefix=True,
            t_in_epochs=False,
            **more,
        )

    def set(self, step: int) -> float:
        """Put the rate of `step` (from 0) into the optimizer and return it."""
        # from 1, so that the first step moves and the last one is at the end
        self._falling.step_update(step + 1)
        return self.lr

    @property
    def lr(self) -> float:
        """The rate of the newest step, of parameters that have all of it."""
        return float(self._optimizer.param_groups[self._whole]["lr"])
