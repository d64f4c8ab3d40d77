"""Looking over a model's shoulder: which module is the first whose values are not finite, there or back.

Hooks on every module note the largest output, and whether all of it is finite, in the order in which modules
finish: an inner module before the one around it. On the way back a hook on every tensor that goes into a
module finds the first gradient that is not finite; the innermost module that it went into made it.

Reading each value waits for the device, so this is for looking again at one batch, never for training.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


@dataclasses.dataclass(frozen=True)
class Seen:
    """What left a module.

    Args:
        module: its name in the model, its class, and which application where it is applied again.
        largest: largest absolute value of its outputs that are finite.
        finite: whether all are.
    """

    module: str
    largest: float
    finite: bool


class Watch:
    """Use as a context manager around forward, or forward and backward, passes.

    Args:
        model: eager; a compiled graph has no modules to look at.
    """

    def __init__(self, model: nn.Module) -> None:
        self.outputs: list[Seen] = []
        self.back: str | None = None
        """The first module on the way back, None where all gradients are finite."""
        self._model = model
        self._handles: list[RemovableHandle] = []
        self._calls: dict[str, int] = {}

    @property
    def there(self) -> str | None:
        """The first module with an output that is not finite, None where all are."""
        return next((seen.module for seen in self.outputs if not seen.finite), None)

    def __enter__(self) -> Self:
        for name, module in self._model.named_modules():
            if not name:
                continue
            called = f"{name} ({type(module).__name__.removesuffix('Module')})"

            def before(_: nn.Module, given: Any, *, called: str = called) -> None:
                for tensor in tensors(given):
                    if tensor.requires_grad:
                        self._handles.append(tensor.register_hook(self._gradient_hook(called)))

            def after(_: nn.Module, given: Any, made: Any, *, called: str = called) -> None:
                self._see(called, made)

            self._handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _see(self, called: str, made: Any) -> None:
        number = self._calls[called] = self._calls.get(called, 0) + 1
        values = [each.detach() for each in tensors(made) if each.is_floating_point() and each.numel()]
        if not values:
            return
        finite = all(bool(torch.isfinite(each).all()) for each in values)
        largest = max(float(each.abs().nan_to_num(0.0, 0.0, 0.0).max()) for each in values)
        self.outputs.append(
            Seen(f"{called}, application {number}" if number > 1 else called, largest, finite)
        )

    def _gradient_hook(self, called: str) -> Any:
        def look(gradient: Tensor) -> None:
            # of modules around each other, the inner one was entered last: the same tensor calls it last
            if not torch.isfinite(gradient).all() and (self.back is None or self._bad is gradient):
                self.back, self._bad = called, gradient

        return look

    _bad: Tensor | None = None


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors inside tuples, lists, mappings and dataclasses such as `Tokens`."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors(each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors(getattr(value, field.name))
