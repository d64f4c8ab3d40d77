"""What a run sets around itself and takes away again: threads, determinism, random state, log handlers."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from vitreous.errors import ConfigError
from vitreous.redaction import redact
from vitreous.training.allocator import memory_kept
from vitreous.training.plan import Plan
from vitreous.training.processes import Process

WORKSPACE, WORKSPACES = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")
DETERMINISM_COSTS = (
    "operations without a deterministic kernel are refused; no cost that could be measured on a "
    "CPU, and not measured on a GPU"
)
logger = logging.getLogger("vitreous")


@contextlib.contextmanager
def torch_as_planned(plan: Plan) -> Iterator[None]:
    """Threads, determinism and memory of a plan; the caller's, and the caller's random state, afterwards."""
    kind, _, number = plan.device.partition(":")
    gpus = [int(number or 0)] if kind == "cuda" else []
    threads = torch.get_num_threads()
    if plan.threads != threads:
        logger.info("using %d threads, as this run was started with (here: %d)", plan.threads, threads)
        torch.set_num_threads(plan.threads)
    try:
        with (
            as_deterministic(plan.deterministic),
            torch.random.fork_rng(gpus),
            memory_kept() if kind == "cpu" else contextlib.nullcontext(),
        ):
            yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def as_deterministic(strict: bool) -> Iterator[None]:
    """Where `strict`, all that makes torch repeat itself bit for bit; the caller's settings afterwards.

    Operations without a deterministic kernel are refused, cuBLAS gets a fixed workspace (read when its first
    product is computed), and cuDNN neither tries out kernels nor takes one that adds in varying order.

    Raises:
        ConfigError: the environment asks cuBLAS for another workspace.
    """
    if not strict:
        yield
        return
    given = os.environ.get(WORKSPACE)
    if given not in (None, *WORKSPACES):
        raise ConfigError(f"{WORKSPACE} is {given}; with --deterministic {' and '.join(WORKSPACES)} work")
    cudnn = torch.backends.cudnn
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.benchmark,
        cudnn.deterministic,
    )
    os.environ[WORKSPACE] = given or WORKSPACES[0]
    torch.use_deterministic_algorithms(True)
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.benchmark, cudnn.deterministic = before[2:]
        if given is None:
            del os.environ[WORKSPACE]


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
