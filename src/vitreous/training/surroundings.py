"""What a run sets around itself and takes away again: threads, determinism, random state, log handlers."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from vitreous.redaction import redact
from vitreous.training.allocator import memory_kept
from vitreous.training.plan import Plan
from vitreous.training.processes import Process

logger = logging.getLogger("vitreous")


@contextlib.contextmanager
def torch_as_planned(plan: Plan) -> Iterator[None]:
    """Threads, determinism and memory of a plan; the caller's, and the caller's random state, afterwards."""
    kind, _, number = plan.device.partition(":")
    gpus = [int(number or 0)] if kind == "cuda" else []
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    if plan.threads != threads:
        logger.info("using %d threads, as this run was started with (here: %d)", plan.threads, threads)
        torch.set_num_threads(plan.threads)
    if plan.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        with (
            torch.random.fork_rng(gpus),
            memory_kept() if kind == "cpu" else contextlib.nullcontext(),
        ):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


@contextlib.contextmanager
def audible(process: Process) -> Iterator[None]:
    """Progress on stderr where nobody has set up logging: what was chosen must be said, once."""
    if logger.hasHandlers() or not process.first:
        yield
        return
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextlib.contextmanager
def written_to(folder: Path, process: Process) -> Iterator[None]:
    """Everything said, also to `train.log`, without secrets; by another process than the first to a log of
    its own, `debug/rank3.log`."""
    file = folder / "train.log"
    if not process.first:
        file = folder / "debug" / f"rank{process.rank}.log"
        file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.INFO)
    logger.addHandler(handler)
    level = logger.level
    if (
        level == logging.NOTSET
    ):  # a program of the user's with handlers of its own, which decide what they show
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
