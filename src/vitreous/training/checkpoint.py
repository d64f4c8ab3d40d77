"""Checkpoints that are whole or absent, and that prove it.

One folder a checkpoint, `checkpoints/step-000123/`: weights as safetensors (`model`, and `ema` and `best`
where the run has them), `optimizer.pt` (torch's own format, only ever read with `weights_only=True`, which
cannot run code), `state.json`, and `SHA256SUMS` over all of them. It is written under a temporary name,
every file and the folder are synced, then renamed, and the parent is synced: after a kill or a power cut
there is the old state or the new one. Damage that comes later (a truncated or flipped file) is caught by
the sums, said, and the checkpoint before is used.

A full disk in the middle leaves nothing behind but the checkpoints that were there before.
"""

import hashlib
import io
import json
import logging
import os
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from vitreous.errors import ConfigError

FORMAT_VERSION = 2  # 1: augmentation drew for a batch as one, so its runs would go on with other draws
SUMS = "SHA256SUMS"
TEMPORARY = ".writing-"
PARTS = "parts"

Weights = dict[str, Tensor]
logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Args:
        weights: state dictionaries by name: `model`, and `ema` and `best` where there are any.
        optimizer: `{"optimizer": …, "scaler": …}`, plain tensors and numbers only.
        state: JSON-able rest: step, totals, best so far, resolved settings.
    """

    weights: Mapping[str, Weights]
    optimizer: dict[str, Any]
    state: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int, parts: Path | None = None) -> Path:
    """Write `folder/step-<step>` and drop all but the newest `keep` checkpoints.

    Args:
        folder: of all checkpoints.
        checkpoint: what to write.
        keep: how many stay.
        parts: folder of what several processes have written of it, which becomes its `parts/`.

    Raises:
        OSError: the disk is full or not writable; the earlier checkpoints are untouched.
    """
    final = folder / f"step-{checkpoint.state['step']:06d}"
    temporary = folder / f"{TEMPORARY}{final.name}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        sums = {}
        for name, weights in checkpoint.weights.items():
            plain = {key: tensor.detach().contiguous() for key, tensor in weights.items()}
            sums[f"{name}.safetensors"] = safetensors.torch.save(plain)
        buffer = io.BytesIO()
        torch.save(checkpoint.optimizer, buffer)
        sums["optimizer.pt"] = buffer.getvalue()
        state = {"format_version": FORMAT_VERSION, **checkpoint.state}
        sums["state.json"] = json.dumps(state, indent=1, allow_nan=False).encode()
        lines = []
        for name, content in sums.items():
            write_synced(temporary / name, content)
            lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        if parts is not None:
            lines += _taken_in(parts, temporary / PARTS)
        write_synced(temporary / SUMS, "".join(lines).encode())
        sync_folder(temporary)
        if final.exists():  # a damaged one that this run has come past again
            shutil.rmtree(final)
        temporary.rename(final)
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    link = folder / f"{TEMPORARY}last"
    link.unlink(missing_ok=True)
    link.symlink_to(final.name)
    link.replace(folder / "last")
    for old in list_checkpoints(folder)[max(1, keep) :]:
        shutil.rmtree(old)
    return final


def _taken_in(parts: Path, place: Path) -> list[str]:
    """Move written parts to their place, wait until they are on the disk; their sums."""
    parts.rename(place)
    lines = []
    for each in sorted(place.iterdir()):
        with each.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {PARTS}/{each.name}\n")
    sync_folder(place)
    return lines


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first, whole or not."""
    return sorted((each for each in folder.glob("step-*") if each.is_dir()), key=_step_of, reverse=True)


def remove_unfinished(folder: Path) -> None:
    """Delete what a killed process was writing."""
    for each in folder.glob(f"{TEMPORARY}*"):
        if each.is_symlink() or each.is_file():
            each.unlink()
        else:
            shutil.rmtree(each)


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint by its SHA-256 sums, or None."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return f"{SUMS} is missing or unreadable"
    listed = [tuple(line.split("  ", 1)) for line in lines]
    if any(len(pair) != 2 for pair in listed) or not {"model.safetensors", "optimizer.pt", "state.json"} <= {
        pair[-1] for pair in listed
    }:
        return f"{SUMS} is incomplete"
    for expected, name in listed:
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                return f"{name} is not what was written (SHA-256 differs)"
    return None


def load_newest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint, or None where none was ever written.

    Raises:
        ConfigError: checkpoints exist but none is whole; or one is whole and holds what is not plain data.
    """
    found = list_checkpoints(folder)
    for each in found:
        problem = damage(each)
        if problem is None:
            return read_checkpoint(each)
        logger.warning("checkpoint %s is damaged: %s; using the one before it", each.name, problem)
    if found:
        raise ConfigError(
            f"{folder}: none of the {len(found)} checkpoints is whole, so there is nothing to continue from; "
            "--fresh starts over and keeps the old folder aside"
        )
    return None


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint whose sums are right.

    Raises:
        ConfigError: written by a newer version, or a file that could run code (refused, never run).
    """
    state = json.loads((folder / "state.json").read_text())
    if state.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{folder}: checkpoint format {state.get('format_version')!r} is not the {FORMAT_VERSION} "
            "that this version of vitreous reads"
        )
    try:
        optimizer = torch.load(folder / "optimizer.pt", map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigError(
            f"{folder / 'optimizer.pt'} holds more than tensors and numbers (a pickle may run code when it "
            "is loaded); it was refused and nothing in it was run"
        ) from None
    weights = {path.stem: safetensors.torch.load_file(path) for path in sorted(folder.glob("*.safetensors"))}
    read = Checkpoint(weights=weights, optimizer=optimizer, state=state)
    if not (folder / PARTS).is_dir():
        return read
    from vitreous.training.checkpoint_parts import put_together  # it writes with this file

    return put_together(folder, read)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _step_of(folder: Path) -> int:
    digits = folder.name.removeprefix("step-")
    return int(digits) if digits.isdigit() else -1
