"""Checkpoints of a model in parts, written in parts: each process writes its own, and nobody the whole.

torch's distributed checkpoint (`torch.distributed.checkpoint`) over safetensors files, which hold no code.
What is in parts goes into `parts/` of the checkpoint folder, everything else into the same files as ever:

    step-000123/parts/shard-00001-….safetensors      model/NAME, ema/NAME, optimizer/NUMBER/NAME
    step-000123/{model,ema,best}.safetensors, optimizer.pt, state.json, SHA256SUMS

Reading puts the parts together offline, without the processes that wrote them, so what reads a checkpoint
need not know how it was written, and any number of processes continues it.
"""

import errno
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor

from vitreous.training.checkpoint import PARTS, TEMPORARY, Checkpoint
from vitreous.training.world import World


def write_parts(folder: Path, checkpoint: Checkpoint, world: World) -> tuple[Checkpoint, Path]:
    """Write what is in parts, all processes together; the rest of the checkpoint, and where the parts are.

    Args:
        folder: of the checkpoints.
        checkpoint: with tensors in parts.
        world: the processes.

    Raises:
        OSError: a process could not write its part; in all of them.
    """
    place = folder / f"{TEMPORARY}parts"

    def make_room() -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)

    world.by_first(make_room)
    tensors = dict(_in_parts(checkpoint))
    writer = HuggingFaceStorageWriter(str(place), save_distributed=True)
    try:
        save(tensors, storage_writer=writer, process_group=world.patient)
    except CheckpointException as failed:
        causes = [cause for cause, _ in failed.failures.values()]
        full = any(
            isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT) for each in causes
        )
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, f"a part could not be written: {causes[0]}", str(place)) from failed
    weights = {
        name: {key: value for key, value in state.items() if not isinstance(value, DTensor)}
        for name, state in checkpoint.weights.items()
    }
    optimizer = checkpoint.optimizer
    state = {
        number: {key: value for key, value in values.items() if not isinstance(value, DTensor)}
        for number, values in optimizer["optimizer"]["state"].items()
    }
    optimizer = optimizer | {"optimizer": optimizer["optimizer"] | {"state": state}}
    return Checkpoint(weights=weights, optimizer=optimizer, state=checkpoint.state), place


def put_together(folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint with the tensors of its `parts/`, whole; as it is where it has none."""
    place = folder / PARTS
    if not place.is_dir():
        return checkpoint
    reader = HuggingFaceStorageReader(str(place))
    known = reader.read_metadata().state_dict_metadata
    tensors: dict[str, Tensor] = {
        name: torch.empty(each.size, dtype=each.properties.dtype)  # type: ignore[union-attr]
        for name, each in known.items()
    }
    with warnings.catch_warnings():  # one process reads all: as meant
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        load(tensors, storage_reader=HuggingFaceStorageReader(str(place)), no_dist=True)
    for name, value in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimizer":
            number, _, key = rest.partition("/")
            checkpoint.optimizer["optimizer"]["state"].setdefault(int(number), {})[key] = value
        else:
            checkpoint.weights[kind][rest] = value
    return checkpoint


def _in_parts(checkpoint: Checkpoint) -> Iterator[tuple[str, Any]]:
    for name, weights in checkpoint.weights.items():
        for key, value in weights.items():
            if isinstance(value, DTensor):
                yield f"{name}/{key}", value
    for number, values in checkpoint.optimizer["optimizer"]["state"].items():
        for key, value in values.items():
            if isinstance(value, DTensor):
                yield f"optimizer/{number}/{key}", value
