"""`devices: 4`: the same run in four processes of this machine, started and watched as torchrun does it.

Each process runs a module (this one, for training) with the settings, which lie in a file that only this user
can read. The launcher (`torch.distributed.launcher`, what torchrun itself calls) hands signals on, ends the
others where one fails, and says which failed first; that one's error becomes this process's.
"""

import dataclasses
import logging
import os
import pickle
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vitreous import errors
from vitreous.data.threads import cores
from vitreous.errors import LostProcessError, StoppedError, VitreousError
from vitreous.training.run import TrainResult
from vitreous.training.run_folder import place_of, read_state
from vitreous.training.settings import TrainSettings

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"
GRACE_S = "120"  # for the last checkpoint, between a signal and the kill


def train_in_processes(settings: TrainSettings) -> TrainResult:
    """Train in `settings.devices` processes of this machine and wait for them.

    Raises:
        VitreousError: what the first process that failed said.
    """
    place = place_of(settings)
    given = dataclasses.replace(settings, out=str(place), devices=1)
    in_processes(
        "vitreous.training.launch", given, settings.devices, told=lambda: read_state(place).get("message")
    )
    state = read_state(place)
    return TrainResult(place, dict(state["metrics"]), place / "model")


def in_processes(module: str, given: Any, number: int, *, told: Callable[[], str | None]) -> None:
    """Run `python -m MODULE FILE` in processes of this machine and wait for them.

    Args:
        module: that calls `work`.
        given: what the file holds, for `work` to read.
        number: of processes.
        told: what the first of them has said about being stopped, None where it did not come to that.

    Raises:
        VitreousError: what the first process that failed said.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // number)))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", GRACE_S)
    logging.getLogger("torch.distributed.elastic").setLevel(
        logging.CRITICAL
    )  # its tracebacks say nothing more
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=number,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        signals_to_handle=SIGNALS,
    )
    handlers = {each: signal.getsignal(each) for each in map(signal.Signals.__getitem__, SIGNALS.split(","))}
    with tempfile.TemporaryDirectory(prefix="vitreous-") as folder:
        file = Path(folder) / "settings"
        file.write_bytes(pickle.dumps(given))
        try:
            elastic_launch(config, sys.executable)("-m", module, str(file))
        except ChildFailedError as failed:
            raise _first_error(failed.failures, number) from None
        except SignalException as stopped:
            code = 130 if stopped.sigval == signal.SIGINT else StoppedError.exit_code
            said = told() or f"stopped by {stopped.sigval.name}; the same command continues"
            raise StoppedError(said, code) from None
        finally:
            for each, handler in handlers.items():
                signal.signal(each, handler)


def _first_error(failures: dict[int, Any], number: int) -> VitreousError:
    """The error that began it: a kill or an error of one's own before what followed from it."""
    followers = (LostProcessError.__name__, StoppedError.__name__)

    def order(rank: int) -> tuple[bool, int, int]:
        followed = _message(failures[rank]).startswith(followers)
        return followed, failures[rank].timestamp, rank

    rank = min(failures, key=order)
    failure = failures[rank]
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        hint = "; it may have run out of memory" if name == "SIGKILL" else ""
        return LostProcessError(
            f"process {rank} of {number} was ended by {name}{hint}; the others were stopped, and the same "
            "command continues from the newest checkpoint"
        )
    kind, _, message = _message(failure).partition(": ")
    known = getattr(errors, kind, VitreousError)
    error: VitreousError = known(message or f"process {rank} of {number} ended with {failure.exitcode}")
    error.exit_code = failure.exitcode
    return error


def _message(failure: Any) -> str:
    told = failure.message
    return str(told.get("message", "")) if isinstance(told, dict) else str(told)


def record(error: BaseException) -> None:
    """Tell torchrun, where it started this process, why it ends: it shows the first error of all."""
    if os.environ.get("TORCHELASTIC_ERROR_FILE"):
        from torch.distributed.elastic.multiprocessing.errors.error_handler import ErrorHandler

        ErrorHandler().record_exception(error)


def work(file: Path, run: Callable[[Any], object]) -> int:
    """What one of the processes does: `run` with what the file holds; its exit code."""
    try:
        run(pickle.loads(file.read_bytes()))
    except BaseException as error:
        record(error)
        if not isinstance(error, VitreousError | KeyboardInterrupt):
            raise
        return 130 if isinstance(error, KeyboardInterrupt) else error.exit_code
    return 0


if __name__ == "__main__":
    from vitreous.training.train import train_run

    sys.exit(work(Path(sys.argv[1]), train_run))
