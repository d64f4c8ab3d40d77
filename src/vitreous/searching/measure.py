"""What only this machine can tell: how long a model takes, and how much memory.

    latency    median over interleaved repeats of candidate / reference, times the reference's own median
               from the beginning of the search: what slows the machine down meanwhile slows both
    memory     weights and the most that is held at once in a pass, as torch allocates it

Both are of the model by itself, in inference mode, at the search's batch size and precision.
"""

import contextlib
import statistics
import time
from typing import Any

import torch
from torch import nn

from vitreous.training.step import MIXED, TYPES

REPEATS = 15
WARM_UP = 3


class Stopwatch:
    """Measures models beside a reference.

    Args:
        reference: any model of the space.
        images: (batch, channels, height, width) that all are shown, on the device.
        precision: of the search.
        reference_ms: its latency as measured before; None to measure it now.
    """

    def __init__(
        self, reference: nn.Module, images: torch.Tensor, precision: str, reference_ms: float | None = None
    ) -> None:
        self._reference, self._images, self._precision = reference.eval(), images, precision
        if reference_ms is None:
            times = [self._once(self._reference) for _ in range(WARM_UP + REPEATS)][WARM_UP:]
            reference_ms = statistics.median(times)
        self.reference_ms = reference_ms

    def latency_ms(self, model: nn.Module) -> float:
        """Milliseconds of one pass."""
        model.eval()
        ratios = []
        for turn in range(WARM_UP + REPEATS):
            pair = (self._reference, model) if turn % 2 else (model, self._reference)
            taken = {id(each): self._once(each) for each in pair}
            if turn >= WARM_UP:
                ratios.append(taken[id(model)] / taken[id(self._reference)])
        return statistics.median(ratios) * self.reference_ms

    def memory(self, model: nn.Module) -> int:
        """Bytes of the weights and of the most that is held in a pass."""
        model.eval()
        weights = sum(each.nbytes for each in (*model.parameters(), *model.buffers()))
        device = self._images.device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            self._once(model)
            return weights + torch.cuda.max_memory_allocated(device) - before
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as seen:
            self._once(model)
        held = most = 0
        assert seen.profiler is not None
        for event in seen.profiler.kineto_results.events():
            if event.name() == "[memory]":
                held += event.nbytes()
                most = max(most, held)
        return weights + most

    def _once(self, model: nn.Module) -> float:
        device = self._images.device
        autocast: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if self._precision in MIXED:
            autocast = torch.autocast(device.type, TYPES[self._precision])
        with torch.inference_mode(), autocast:
            begin = time.perf_counter()
            model(self._images)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
        return 1e3 * (time.perf_counter() - begin)
