"""One optimizer step: forward, backward, clip, update, average.

The pieces are torch's: autocast, `GradScaler` (float16 only; bfloat16 has float32's range and needs none),
`clip_grads_with_norm_`, its optimizers, `AveragedModel` for the exponential moving average

    w̄ ← d·w̄ + (1 − d)·w        after every step, beginning as a copy of the first w

A step depends on its number and the weights alone: dropout's generator is seeded from (seed, "dropout",
step), the learning rate is a function of the step. So weights, optimizer, average and the number are all
that a checkpoint needs. Of several processes each has a stream of dropout of its own, unless nothing is
dropped: then what else a model draws (the order of SReT's slices) is alike in all. `backward` and `update`
are apart so that a loss that is not finite never reaches the weights where reading it costs nothing (CPU).
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vitreous.data.streams import stream_seed
from vitreous.training.checkpoint import Weights
from vitreous.training.frozen import train_mode
from vitreous.training.objective import Objective, Shown
from vitreous.training.optimizer import make_optimizer
from vitreous.training.progressive import SmallFirst
from vitreous.training.recipe import Recipe
from vitreous.training.schedule import make_schedule
from vitreous.training.sharded import (
    Sharded,
    ShardedAverage,
    gradient_norm,
    optimizer_parts,
    parts_of,
    whole,
)
from vitreous.training.world import World

Forward = Callable[[Tensor], Any]
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MIXED = ("bfloat16", "float16")


class TrainStep:
    """A model with all that changes while it trains.

    Args:
        model: a model of `vitreous.build` on its device.
        recipe: optimizer, schedule and regularisation.
        lr: peak learning rate.
        total_steps: optimizer steps of the whole run.
        steps_per_epoch: those of an epoch, for what the recipe counts in epochs.
        seed: of the run.
        precision: `float32`, or 16-bit automatic mixed precision over float32 weights, or `float64`, which
            the model is in already.
        ema_decay: decay per step of the averaged weights, None for no average.
        forward: what computes the output that the objective asks for: `model` itself, or
            `torch.compile(model)`; of several processes, what averages gradients over them (`parallel.py`).
        objective: output → loss; None for cross-entropy on the targets.
        world: the processes that train together; None for this one alone.
        sizes: of the images of each step; None for those that are shown.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        lr: float,
        total_steps: int,
        seed: int,
        steps_per_epoch: int = 1,
        precision: str = "float32",
        ema_decay: float | None = None,
        forward: Forward | None = None,
        objective: Objective | None = None,
        world: World | None = None,
        sizes: SmallFirst | None = None,
    ) -> None:
        self.world = world or World()
        self.device = next(model.parameters()).device
        self.model = model
        self.precision = precision
        self.objective = Objective(recipe.label_smoothing) if objective is None else objective
        self._beside = [each for each in self.objective.parameters() if each.requires_grad]
        self._type = torch.float64 if precision == "float64" else torch.float32
        self.optimizer = make_optimizer(model, recipe, lr=lr, beside=self._beside)
        self.schedule = make_schedule(
            self.optimizer, recipe, total_steps=total_steps, steps_per_epoch=steps_per_epoch
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "float16")
        self.average: AveragedModel | ShardedAverage | None = None
        if ema_decay is not None and isinstance(forward, Sharded):
            self.average = ShardedAverage(forward.twin, ema_decay)
        elif ema_decay is not None:
            self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
        self._forward: Forward = model if forward is None else forward
        self._recipe = recipe
        drops = recipe.dropout or recipe.attention_dropout or recipe.drop_path
        self._dropout = (self.world.rank,) if drops and self.world.rank else ()
        self._sizes = sizes
        self._step = 0
        self._seed = seed
        self._parameters = [each for each in model.parameters() if each.requires_grad] + self._beside

    def backward(self, shown: Shown, step: int) -> Tensor:
        """Gradients of a batch, clipped; returns (loss, gradient norm before clipping) on the device.

        Of several processes, gradients and norm are those of the whole batch, the loss is of the own part.

        Args:
            shown: the batch; it divides by `accumulate`.
            step: number of the step, from 0.
        """
        self._step = step
        self.schedule.set(step)
        torch.manual_seed(stream_seed(self._seed, "dropout", step, *self._dropout))
        train_mode(self.model)
        self.optimizer.zero_grad(set_to_none=True)
        parts = self._recipe.accumulate
        total = torch.zeros((), device=self.device)
        for number, part in enumerate(shown.parts(parts), start=1):
            with self._gathering() if number < parts else contextlib.nullcontext():
                total = total + self.forward_and_backward(part, share=1 / parts)
        for each in self._beside:  # those of the model are averaged while the backward pass runs
            if each.grad is not None and not self.world.alone:
                self.world.sum(each.grad).div_(self.world.size)
        self.scaler.unscale_(self.optimizer)
        norm = gradient_norm(self._parameters)
        if self._recipe.clip_norm:
            clip_grads_with_norm_(self._parameters, self._recipe.clip_norm, norm)
        return torch.stack([total, norm])

    def forward_and_backward(self, shown: Shown, *, share: float = 1.0) -> Tensor:
        """Add the gradients of one micro-batch of the newest step; returns its loss times `share`."""
        images = shown.images if self._sizes is None else self._sizes(shown.images, self._step)
        with self._autocast():
            output = self._forward(images.to(self._type))
        loss: Tensor = self.objective(output, shown) * share
        self.scaler.scale(loss).backward()
        return loss.detach()

    def update(self) -> None:
        """Move the weights along the gradients, and the average towards the weights."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.model)

    @contextlib.contextmanager
    def as_if(self, precision: str) -> Iterator[None]:
        """Steps in another precision, without a gradient scaler and uncompiled: to look at one again."""
        before = self.precision, self.scaler
        self.precision, self.scaler = precision, torch.amp.GradScaler(self.device.type, enabled=False)
        try:
            with torch.compiler.set_stance("force_eager"):
                yield
        finally:
            self.precision, self.scaler = before

    @property
    def lr(self) -> float:
        """Learning rate of the newest step."""
        return self.schedule.lr

    def weights(self, *, in_parts: bool = False) -> dict[str, Weights]:
        """State dictionaries `model`, and `ema` and `objective` where these have weights; not copies.

        Where the model is in parts they are put together, all processes asking together, unless `in_parts`.
        """
        read = _state if in_parts else self.weights_of
        found = {"model": read(self.model)}
        if self.average is not None:
            found["ema"] = read(self.average.module)
        if self._beside:
            found["objective"] = self._learned_beside()
        return found

    def weights_of(self, model: nn.Module) -> Weights:
        """The state dictionary of the model or its average, whole."""
        return whole(_state(model)) if isinstance(self._forward, Sharded) else _state(model)

    def _learned_beside(self) -> Weights:
        """What the objective learns for itself, by name; not a teacher that it asks."""
        named = self.objective.named_parameters()
        return {name: each.detach() for name, each in named if each.requires_grad}

    def optimizer_state(self, *, in_parts: bool = False) -> dict[str, Any]:
        """Optimizer, gradient scaler and the number of averaged steps, as plain tensors and numbers."""
        return {
            "optimizer": self.optimizer.state_dict() if in_parts else whole(self.optimizer.state_dict()),
            "scaler": self.scaler.state_dict(),
            "averaged": None if self.average is None else int(self.average.n_averaged),
        }

    def load(self, weights: dict[str, Weights], optimizer_state: dict[str, Any]) -> None:
        """Take over what `weights` and `optimizer_state` gave, in place: a compiled model stays compiled."""
        self.model.load_state_dict(parts_of(weights["model"], self.model))
        for name, value in self._learned_beside().items():
            value.copy_(weights["objective"][name])
        if self.average is not None:
            self.average.module.load_state_dict(parts_of(weights["ema"], self.average.module))
            self.average.n_averaged.fill_(optimizer_state["averaged"])
        self.optimizer.load_state_dict(optimizer_parts(optimizer_state["optimizer"], self.optimizer))
        self.scaler.load_state_dict(optimizer_state["scaler"])

    def _gathering(self) -> contextlib.AbstractContextManager[Any]:
        """While more micro-batches follow, several processes do not average their gradients yet."""
        if isinstance(self._forward, DistributedDataParallel):
            return self._forward.no_sync()
        return contextlib.nullcontext()

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision not in MIXED:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, TYPES[self.precision])


def _state(model: nn.Module) -> Weights:
    return dict(model.state_dict())
