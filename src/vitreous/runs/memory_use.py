"""What a training step holds in memory, by kind, and the peak that was measured.

Weights, gradients, optimizer and average are counted tensor by tensor after a step. Activations are what
autograd keeps of one (micro-)batch between forward and backward, counted by torch's saved-tensor hooks,
uncompiled; compilation keeps less. The peak is torch's own on CUDA, and on Linux the process's largest
resident memory (`VmHWM`, reset before); it holds the libraries, the resident images and scratch space too.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_leaves

from vitreous.training.objective import Shown
from vitreous.training.step import TrainStep

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """Bytes, after steps were taken; `peak` is None where it cannot be measured."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int
    peak: int | None
    peak_is: str

    @property
    def counted(self) -> int:
        """The sum of all kinds."""
        return self.weights + self.gradients + self.optimizer + self.average + self.activations


@dataclass
class Peak:
    """The largest memory use while a context was open."""

    device: torch.device
    what: str = ""
    bytes: int | None = field(default=None)


@contextlib.contextmanager
def peak_of(device: torch.device) -> Iterator[Peak]:
    """Measure the peak of what happens inside."""
    peak = Peak(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            CLEAR.write_text("5")  # VmHWM begins anew
    yield peak
    if device.type == "cuda":
        peak.what, peak.bytes = "allocated by torch on the GPU", torch.cuda.max_memory_allocated(device)
    elif device.type == "cpu" and STATUS.exists():
        peak.what = "resident memory of the whole process"
        peak.bytes = next(
            (int(each.split()[1]) * 1024 for each in STATUS.read_text().splitlines() if "VmHWM" in each), None
        )


def memory_use(trainee: TrainStep, shown: Shown, accumulate: int, peak: Peak) -> MemoryUse:
    """Count what is held; gradients of `shown` are computed once more.

    Args:
        trainee: after at least one step.
        shown: a batch.
        accumulate: its micro-batches.
        peak: measured before, over whole steps.
    """
    trainee.optimizer.zero_grad(set_to_none=True)
    activations = _activation_bytes(trainee, shown.parts(accumulate)[0])
    return MemoryUse(
        weights=tensor_bytes(trainee.model.state_dict()),
        gradients=tensor_bytes([each.grad for each in trainee.model.parameters()]),
        optimizer=tensor_bytes(trainee.optimizer.state_dict()),
        average=0 if trainee.average is None else tensor_bytes(trainee.average.module.state_dict()),
        activations=activations,
        peak=peak.bytes,
        peak_is=peak.what,
    )


def tensor_bytes(tree: Any) -> int:
    """Size of all tensors in dictionaries and lists; one that stands in several places counts once."""
    return sum({id(leaf): leaf.nbytes for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)}.values())


def _activation_bytes(trainee: TrainStep, shown: Shown) -> int:
    owned = {each.untyped_storage().data_ptr() for each in _values(trainee.model, trainee.objective)}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:  # a weight that is kept for backward is no activation
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with trainee.as_if(trainee.precision), saved_tensors_hooks(pack, lambda tensor: tensor):
        trainee.forward_and_backward(shown)
    return sum(kept.values())


def _values(*modules: nn.Module) -> Iterator[Tensor]:
    for module in modules:
        yield from module.parameters()
        yield from module.buffers()
