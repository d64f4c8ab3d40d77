"""Checkpoint files of other people's code, read without ever running any.

PyTorch's own reader is told to make tensors and plain values alone (`weights_only`); of all classes it knows,
one more is let in, `argparse.Namespace`, in which DeiT's and EIT's trainers keep their options. A file that
needs another class to be opened is refused and the class is named. Both of torch's formats (zip, and pickle
from before 1.6) and safetensors are read.

The weights are found where the authors' trainers put them: under `model` (DeiT, EIT, SReT, feed-forward),
`state_dict` (FKD's SReT, with `module.` before each name), `model_state_dict`, or at the top (CCT, timm).
"""

import re
import warnings
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from vitreous.errors import DataError

PLACES = ("model", "state_dict", "model_state_dict")
WRAPPER = "module."  # DistributedDataParallel's


@dataclass(frozen=True)
class ForeignCheckpoint:
    """What a file holds.

    Args:
        weights: by the authors' names.
        place: the key under which they were found, "" for the top.
        beside: the other keys of the file.
        wrapped: whether each name began with `module.`.
    """

    weights: dict[str, Tensor]
    place: str
    beside: tuple[str, ...]
    wrapped: bool


def read_checkpoint(path: Path | str) -> ForeignCheckpoint:
    """The weights in a file.

    Raises:
        DataError: the file is missing, is no checkpoint, needs code to be opened, or holds no weights where
            weights are looked for.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is not a file; give a checkpoint such as model.pth or model.safetensors")
    held = _open(path)
    places = {"": held}
    if isinstance(held, Mapping):
        places |= {place: held.get(place) for place in PLACES}
    for place, weights in places.items():
        if _are_weights(weights):
            wrapped = all(name.startswith(WRAPPER) for name in weights)
            return ForeignCheckpoint(
                {name.removeprefix(WRAPPER) if wrapped else name: each for name, each in weights.items()},
                place,
                tuple(str(key) for key in held if key != place) if place else (),
                wrapped,
            )
    keys = ", ".join(list(map(str, held))[:8]) if isinstance(held, Mapping) else type(held).__name__
    raise DataError(f"{path} holds no weights at the top nor under {', '.join(PLACES)}; it holds {keys}")


def _open(path: Path) -> Any:
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats, which are read all the same
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # readers raise nearly anything
        if refused := re.search(r"(?:GLOBAL|class|type) ([\w.]+\.\w+)|(TorchScript)", str(error)):
            needed = refused[1] or refused[2]
            raise DataError(
                f"{path} needs {needed} to be opened, which could run anybody's code: refused; save its "
                "weights alone, as a dict of tensors or with safetensors"
            ) from error
        raise DataError(
            f"{path} is truncated, damaged, or no checkpoint of PyTorch or safetensors at all"
        ) from error


def _are_weights(held: Any) -> bool:
    return (
        isinstance(held, Mapping)
        and bool(held)
        and all(isinstance(name, str) and isinstance(each, Tensor) for name, each in held.items())
    )
