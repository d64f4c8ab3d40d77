"""Time and memory of each layer, as it runs.

    time      between entering and leaving a layer, median over passes after a warm-up; a GPU is waited for
    on both sides memory    bytes of what the layer's innermost modules give, for the batch: about what
    training keeps for the backward
              pass (operations that are no modules, such as softmax, are not seen; ours)

Waiting around each layer costs time itself, so that the sum may exceed the whole pass, which is measured
beside it without.
"""

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.analysis.watch import backbone, layers_of


@dataclass(frozen=True)
class LayerTime:
    """A layer's milliseconds for the batch, and its activations in bytes."""

    name: str
    milliseconds: float
    activation_bytes: int


@dataclass(frozen=True)
class Times:
    """All layers; the whole pass in milliseconds; images in the batch; peak memory of a GPU."""

    layers: tuple[LayerTime, ...]
    whole_ms: float
    batch: int
    peak_bytes: int | None


def layer_times(
    model: nn.Module, images: Float[Tensor, "batch channels height width"], *, passes: int = 5
) -> Times:
    """Measure; the model is left in evaluation mode as it should be given."""
    found, device = backbone(model), images.device
    parts = _parts(found)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def run() -> float:
        begin = now()
        with torch.no_grad():
            found(images)
        return now() - begin

    run()
    whole = statistics.median(run() for _ in range(passes))
    begun: dict[str, float] = {}
    spent: dict[str, list[float]] = defaultdict(list)
    hooks = []
    for name, part in parts:
        hooks.append(part.register_forward_pre_hook(lambda _, __, name=name: begun.__setitem__(name, now())))
        hooks.append(
            part.register_forward_hook(
                lambda _, __, ___, name=name: spent[name].append(now() - begun.pop(name))
            )
        )
    try:
        for _ in range(passes):
            run()
    finally:
        for hook in hooks:
            hook.remove()
    held = _bytes(found, parts, images)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    layers = tuple(
        LayerTime(name, 1000 * statistics.median(spent[name]), held[name]) for name, _ in parts if spent[name]
    )
    return Times(layers, 1000 * whole, len(images), peak)


def _parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    stem = next(name for name in ("patch_embed", "stem") if hasattr(model, name))
    whole: Any = model
    return [(stem, getattr(whole, stem)), *layers_of(model), ("head", whole.head)]


def _bytes(model: nn.Module, parts: list[tuple[str, nn.Module]], images: Tensor) -> dict[str, int]:
    held: dict[str, int] = defaultdict(int)
    hooks = []
    for name, part in parts:
        for module in part.modules():
            if next(module.children(), None) is None:

                def hook(_: nn.Module, __: Any, out: Any, name: str = name) -> None:
                    if isinstance(out, Tensor):
                        held[name] += out.numel() * out.element_size()

                hooks.append(module.register_forward_hook(hook))
    try:
        with torch.no_grad():
            model(images)
    finally:
        for each in hooks:
            each.remove()
    return held
