"""Several processes for tests: functions of `together_tasks.py` run in N processes that know each other.

The processes are plain subprocesses with torchrun's variables: what a launcher adds has tests of its own.
Starting Python and torch is what takes time, so one start serves many tasks.
"""

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from filelock import FileLock

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PATIENCE_S = 240


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def environment(**changes: str) -> dict[str, str]:
    """Variables of a process that finds these sources and these tests."""
    paths = [str(ROOT / "src"), str(ROOT)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"} | changes


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[], T]) -> T:
    """What `make` returns, made by one of pytest-xdist's processes; the others wait for it and read it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    kept = folder / f"{name}.pickle"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(make()))
        found: T = pickle.loads(kept.read_bytes())
    return found


def together(
    size: int, folder: Path, *tasks: tuple[str, dict[str, Any]], module: str = "tests.training.together_tasks"
) -> list[list[Any]]:
    """What each task returned in each process: `[task][rank]`.

    Args:
        size: how many processes.
        folder: for what they write.
        tasks: names of functions and their arguments, run one after the other in every process.
        module: that has the functions and calls `main` with them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = folder / "asked"
    asked.write_bytes(pickle.dumps(tasks))
    port = str(free_port())
    running = []
    for rank in range(size):
        variables = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
        meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
        words = [
            sys.executable,
            "-m",
            module,
            str(asked),
            str(folder / f"told{rank}"),
        ]
        log = (folder / f"log{rank}").open("wb")
        running.append(
            subprocess.Popen(words, env=environment(**variables, **meeting), stdout=log, stderr=log)
        )
        log.close()
    try:
        codes = [each.wait(PATIENCE_S) for each in running]
    finally:
        for each in running:
            each.kill()
            each.wait()
    logs = "\n".join((folder / f"log{rank}").read_text()[-3000:] for rank in range(size))
    assert codes == [0] * size, logs
    told = [pickle.loads((folder / f"told{rank}").read_bytes()) for rank in range(size)]
    return [list(each) for each in zip(*told, strict=True)]
