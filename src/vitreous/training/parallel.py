"""One model in several processes: gradients of the whole batch, and statistics of the whole batch.

DDP (Li et al., VLDB 2020; torch's `DistributedDataParallel`) keeps the model whole in every process and
averages gradients while the backward pass runs. A parameter that takes no part in a loss, as in a supernet,
would let it wait for ever: a pass without values, on torch's meta device, finds out whether there is one,
and only then is DDP told to look for them in every step. A weight that is used many times (a recursion) has
one gradient, the sum over its uses, and is averaged once.

BatchNorm sees in one process the statistics of the whole batch, so it must in several: each channel's mean
and variance are put together from the processes' own,

    μ = mean_r μ_r        σ² = mean_r (σ_r² + (μ_r − μ)²)

through a sum that gradients flow through. torch's `SyncBatchNorm` does so on GPUs only.
"""

import copy
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from vitreous.training.world import World


def replicated(network: nn.Module) -> DistributedDataParallel:
    """What computes a network's output so that gradients are the mean over all processes.

    Args:
        network: whole, on this process's device, perhaps compiled.
    """
    device = next(network.parameters()).device
    # buffers are functions of the whole batch, alike everywhere; the option has another name before 2.15
    known = inspect.signature(DistributedDataParallel).parameters
    options: dict[str, Any] = {
        "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False
    }
    # kernels of one channel have two equal layouts, and either is as fast
    warnings.filterwarnings("ignore", message="Grad strides do not match")
    return DistributedDataParallel(
        network,
        device_ids=[device] if device.type == "cuda" else None,
        gradient_as_bucket_view=True,
        find_unused_parameters=leaves_parameters_unused(getattr(network, "_orig_mod", network)),
        **options,
    )


def leaves_parameters_unused(network: nn.Module) -> bool:
    """Whether some trained parameter takes no part in the output; True also where nobody can tell."""
    config = getattr(network, "config", None)
    if config is None:
        return True
    image = config.image
    try:
        with torch.random.fork_rng(devices=[]):
            ghost = copy.deepcopy(network).to("meta").train()
            dtype = next(ghost.parameters()).dtype
            shown = torch.zeros(2, image.channels, image.height, image.width, device="meta", dtype=dtype)
            torch.stack([each.sum() for each in _tensors(ghost(shown))]).sum().backward()
    except Exception:  # a part that needs values to run
        return True
    return any(each.grad is None for each in ghost.parameters() if each.requires_grad)


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    else:
        for each in output:
            yield from _tensors(each)


def synchronize_batch_norm(model: nn.Module, world: World) -> None:
    """Let every BatchNorm of a model see the whole batch, in place; names of weights stay."""
    if world.alone:
        return
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, SharedBatchNorm(child, world))


class SharedBatchNorm(nn.BatchNorm2d):
    """A BatchNorm over all processes, with the weights and the running statistics of an ordinary one."""

    def __init__(self, norm: nn.BatchNorm2d, world: World) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.world = world

    def forward(self, x: Tensor) -> Tensor:
        """In evaluation an ordinary BatchNorm."""
        if not self.training:
            plain: Tensor = super().forward(x)
            return plain
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
        size, rank = self.world.size, self.world.rank
        own = F.pad(torch.stack([mean, variance])[None], (0, 0, 0, 0, rank, size - 1 - rank))
        means, variances = SumOverProcesses.apply(own).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean) ** 2).mean(0)
        self._remember(mean.detach(), variance.detach(), x.numel() // x.shape[1] * size)
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        out: Tensor = (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)
        return out

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            unbiased = variance * (count / max(1, count - 1))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class SumOverProcesses(torch.autograd.Function):
    """The sum over all processes; what flows back is the sum of what flows back in all of them."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """All-reduce of a copy."""
        summed = values.clone()
        if not summed.is_meta:  # a pass without values has nothing to send
            dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """All-reduce of the gradients."""
        summed = gradient.contiguous().clone()
        if not summed.is_meta:
            dist.all_reduce(summed)
        return summed
