"""The processes that train together, and what they tell each other; torch.distributed does the work.

One process alone is a world of size 1, without a process group: nothing below costs it anything. A process
of several has two groups: torch's default one, in which each step's sums are taken and which waits for
`timeout_s`, and a patient one on the CPU, for what may take long in one process while the others wait:
looking at the data, writing the model.

    with joined(device="cpu", timeout_s=600) as world:
        world.sum(tensor)                       # over all processes, in place
        plan = world.from_first(plan)           # what rank 0 has decided
        data = world.led(open_data)             # rank 0 first, which fills the caches, then the others
"""

import contextlib
import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from vitreous.data.shard import Shard
from vitreous.errors import ConfigError, LostProcessError, VitreousError
from vitreous.training.processes import Process, this_process

T = TypeVar("T")
PATIENCE = datetime.timedelta(days=1)
_SAID = ("gloo", "nccl", "connection closed by peer", "connection reset", "connection refused", "broken pipe")


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Args:
        process: which one this is.
        patient: group for waiting without a limit; None for the default group.
    """

    process: Process = field(default_factory=Process)
    patient: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "World":
        """Itself: a copy of a model, such as its average, belongs to the same processes."""
        return self

    @property
    def rank(self) -> int:
        """From 0."""
        return self.process.rank

    @property
    def size(self) -> int:
        """How many."""
        return self.process.size

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.process.first

    @property
    def alone(self) -> bool:
        """Whether it is the only one."""
        return self.process.size == 1

    def shard(self, *, before: bool = False) -> Shard:
        """This process's part of a batch; with the image `before` where batches are mixed."""
        return Shard(self.rank, self.size, before)

    def device(self, planned: str) -> str:
        """The planned device as this process uses it: of several GPUs, each process has its own.

        Raises:
            ConfigError: fewer GPUs than processes on this machine.
        """
        if self.alone or not planned.startswith("cuda"):
            return planned
        if self.process.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"process {self.process.local_rank} of this machine has no GPU of its own "
                f"({torch.cuda.device_count()} here); fewer processes or --device cpu work"
            )
        return f"cuda:{self.process.local_rank}"

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place; equal in all of them."""
        if not self.alone:
            dist.all_reduce(values)
        return values

    def from_first(self, value: T) -> T:
        """What rank 0 gives; what the others give is ignored."""
        if self.alone:
            return value
        told = [value if self.first else None]
        dist.broadcast_object_list(told, src=0, group=self.patient)
        return told[0]  # type: ignore[return-value]

    def gathered(self, value: T) -> list[T]:
        """What every process gives, in the order of ranks, in all of them."""
        if self.alone:
            return [value]
        told: list[Any] = [None] * self.size
        dist.all_gather_object(told, value, group=self.patient)
        return told

    def by_first(self, work: Callable[[], T]) -> T:
        """What `work` returns in rank 0, where alone it is done; its error is everybody's error."""
        if self.alone:
            return work()
        return self._answer(self._tried(work) if self.first else (None, None))

    def led(self, work: Callable[[], T]) -> T:
        """`work` in every process, in rank 0 first: what that leaves in caches the others find there."""
        if self.alone:
            return work()
        result, error = self._tried(work) if self.first else (None, None)
        self._answer((None, error))
        return result if self.first else work()  # type: ignore[return-value]

    def wait(self) -> None:
        """Until all are here."""
        self.from_first(None)
        self.gathered(None)

    def _answer(self, answer: tuple[T | None, Exception | None]) -> T:
        result, error = self.from_first(answer)
        if error is not None:
            if isinstance(error, VitreousError) and not self.first:
                error.told = True
            raise error
        return result  # type: ignore[return-value]

    def _tried(self, work: Callable[[], T]) -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            if isinstance(error, VitreousError):
                return None, error
            self.from_first((None, LostProcessError(f"process 0 failed: {type(error).__name__}: {error}")))
            raise


@contextlib.contextmanager
def joined(*, device: str, timeout_s: float, process: Process | None = None) -> Iterator[World]:
    """The world that this process was started into, for the length of a `with` block.

    A process group that the caller has set up is used and left alone.

    Args:
        device: as in the settings; with `cpu` no GPU is asked for.
        timeout_s: how long a step waits for another process.
        process: which one this is; as the launcher's variables say by default.

    Raises:
        LostProcessError: a process failed or did not answer in time.
    """
    process = process or this_process()
    if dist.is_available() and dist.is_initialized():
        own = Process(dist.get_rank(), dist.get_world_size(), process.local_rank)
        yield World(own)
        return
    if process.size == 1:
        yield World()
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu and process.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(process.local_rank)
    where: dict[str, Any] = {}
    if process.address is not None:
        where = {"init_method": f"tcp://{process.address}", "rank": process.rank, "world_size": process.size}
    with lost_processes_named():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            timeout=datetime.timedelta(seconds=timeout_s),
            **where,
        )
        patient = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield World(process, patient)
        dist.destroy_process_group()  # not after an error: it would wait for those who are gone


@contextlib.contextmanager
def lost_processes_named() -> Iterator[None]:
    """What torch raises where another process is gone, as one sentence.

    Raises:
        LostProcessError: instead of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, VitreousError) or not is_lost(error):
            raise
        told = (str(error).splitlines() or [""])[0]
        raise LostProcessError(
            "another process of this run ended or no longer answers, so this one stops too "
            f"({told[:160]}); the same command continues from the newest checkpoint"
        ) from error


def is_lost(error: BaseException) -> bool:
    """Whether an error means that another process cannot be reached."""
    if isinstance(error, dist.DistError):
        return True
    return any(each in str(error).lower() for each in _SAID)
