"""AdamW with its parameter groups, and the learning rate of every step.

Optimizer: torch's `AdamW` (Loshchilov & Hutter 2019), its fused kernel where the device has one.
Groups: timm's `param_groups_weight_decay`, so biases and all 1-D parameters (norms, layer scales) do not
decay; added to it, as in DeiT's `no_weight_decay` (Touvron et al. 2021, authors' code): the class token and
position tables.
Schedule: timm's `CosineLRScheduler` counted in steps. It is a pure function of the step number, so a
continued run needs nothing but the step:

    lr(t) = peak · t / W                                                  for t = 1 … W     (warm-up)
    lr(t) = end + (peak − end) / 2 · (1 + cos(π (t − W) / (T − W)))       for t = W … T,    t = step + 1
"""

import torch
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined]
from timm.scheduler import CosineLRScheduler  # type: ignore[attr-defined]
from torch import nn

from vitreous.models.vision_transformer import without_decay
from vitreous.training.recipe import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe, *, lr: float) -> torch.optim.AdamW:
    """AdamW over all parameters of `model`, in at most two groups (without and with weight decay).

    Args:
        model: a model of `vitreous.build`, on its device.
        recipe: gives weight decay and betas.
        lr: peak learning rate.
    """
    groups = param_groups_weight_decay(model, recipe.weight_decay, no_weight_decay_list=without_decay(model))
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=lr, betas=recipe.betas, fused=fused)


class Schedule:
    """Sets the learning rate of a step.

    Args:
        optimizer: its groups' `initial_lr` (or `lr`) is the peak.
        total_steps: optimizer steps of the whole run, at least 1.
        warmup: share of them spent raising the rate linearly, 0 to 1.
        final_lr: the last step's rate as a share of the peak.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, total_steps: int, warmup: float, final_lr: float
    ) -> None:
        self.warmup_steps = min(round(warmup * total_steps), total_steps - 1)
        peak = optimizer.param_groups[0].get("initial_lr", optimizer.param_groups[0]["lr"])
        self._optimizer = optimizer
        self._cosine = CosineLRScheduler(
            optimizer,
            t_initial=max(2, total_steps - self.warmup_steps),  # timm warns at 1, where no cosine fits
            lr_min=final_lr * peak,
            warmup_t=self.warmup_steps,
            warmup_prefix=True,
            t_in_epochs=False,
        )

    def set(self, step: int) -> float:
        """Put the rate of `step` (from 0) into the optimizer and return it."""
        # from 1, so that the first step moves and the last one is at the end
        self._cosine.step_update(step + 1)
        return float(self._optimizer.param_groups[0]["lr"])
