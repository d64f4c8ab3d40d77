"""A model in parts over several processes: FSDP2, for models that are large for their devices.

torch's `fully_shard` (Zhao et al., VLDB 2023) gives each process an equal part of every weight, gradient and
optimizer state. A layer's weights are put together when it runs and let go of afterwards; its gradients are
averaged and handed out in parts. A layer is the unit, so a recursion is put together once for all its turns;
what stands outside the layers is one more unit.

Outside of a step everything is whole: checkpoints hold whole tensors under the same names and in the same
order as those of one process, so that any number of processes, with parts or without, continues them.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vitreous.errors import ConfigError
from vitreous.training.world import World


class Sharded(nn.Module):
    """What computes the logits of a model in parts.

    Args:
        model: whole, on its device; it is taken apart in place.
        network: what is trained around it: itself, or itself compiled.
        world: the processes.
        averaged: whether an average will be kept.

    Raises:
        ConfigError: a network that runs the layers in another way than the model does.
    """

    def __init__(self, model: nn.Module, network: nn.Module, world: World, *, averaged: bool) -> None:
        super().__init__()
        plain = getattr(network, "_orig_mod", network)
        if plain is not model:
            raise ConfigError(
                "sharding fsdp works for a model by itself, not with mixed depth, guidance, progressive "
                "sizes or a head for a teacher, which reach into its layers; sharding ddp does"
            )
        self._mesh = init_device_mesh(next(model.parameters()).device.type, (world.size,))
        twin = copy.deepcopy(model).requires_grad_(False) if averaged else None
        if plain is not network:
            for layer in model.layers:  # type: ignore[union-attr]
                layer.compile()  # type: ignore[operator]
        self.model = self._in_parts(model)
        # in a list, so that it is no part of the model
        self._twin = [] if twin is None else [self._in_parts(twin)]

    @property
    def twin(self) -> nn.Module:
        """The copy in parts for the average."""
        return self._twin[0]

    def forward(self, images: Tensor) -> Any:
        """As the model."""
        return self.model(images)

    def _in_parts(self, model: nn.Module) -> nn.Module:
        for layer in model.layers:  # type: ignore[union-attr]
            fully_shard(layer, mesh=self._mesh)  # type: ignore[call-overload]
        # also what stands outside the layers: after a validation no backward pass would take it apart again
        fully_shard(model, mesh=self._mesh, reshard_after_forward=True)
        return model


class ShardedAverage:
    """The exponential moving average of weights in parts, with the names of torch's `AveragedModel`.

    Args:
        twin: a copy of the model, in the same parts.
        decay: per step.
    """

    def __init__(self, twin: nn.Module, decay: float) -> None:
        self.module = twin
        self.n_averaged = torch.zeros((), dtype=torch.long)
        self._move = get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards the model; the first time it becomes the model."""
        own, new = list(self.module.parameters()), list(model.parameters())
        if not int(self.n_averaged):
            for mine, other in zip(own, new, strict=True):
                mine.copy_(other)
        else:
            self._move([_own(each) for each in own], [_own(each) for each in new], self.n_averaged)
        for kept, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)
        self.n_averaged += 1


def _own(value: Tensor) -> Tensor:
    """This process's part."""
    part: Tensor = value.to_local() if isinstance(value, DTensor) else value
    return part.detach()


def whole(value: Any) -> Any:
    """Tensors in parts as whole ones on the CPU, inside dictionaries and lists; all processes take part."""
    if isinstance(value, DTensor):
        return value.full_tensor().detach().cpu()
    if isinstance(value, dict):
        return {key: whole(each) for key, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list) else value


def parts_of(values: dict[str, Tensor], like: nn.Module) -> dict[str, Tensor]:
    """A whole state dictionary in the parts of a module; where that is whole, as it is."""
    state = like.state_dict()
    return {name: _part(value, state[name]) if name in state else value for name, value in values.items()}


def optimizer_parts(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A whole optimizer state in the parts of the parameters it belongs to."""
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    found = {
        number: {name: _part(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return state | {"state": found}


def _part(value: Any, like: Tensor) -> Any:
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    # every process has read the whole: nothing has to be sent
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    """The norm of all gradients, of those in parts too, as one number alike in all processes."""
    gradients = [each.grad for each in parameters if each.grad is not None]
    apart = [each for each in gradients if isinstance(each, DTensor)]
    together = [each for each in gradients if not isinstance(each, DTensor)]
    if not apart:
        return get_total_norm(together)
    norm: Tensor = get_total_norm(apart).full_tensor()  # type: ignore[attr-defined]
    return torch.hypot(norm, get_total_norm(together)) if together else norm
