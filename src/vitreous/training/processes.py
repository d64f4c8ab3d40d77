"""Which process of how many this is: from torchrun's variables, or from Slurm's.

    torchrun   RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT
    srun       SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, and the first host of SLURM_STEP_NODELIST

Slurm sets its variables in a batch script too, where one process runs that is not meant to wait for others:
only those of a step (SLURM_STEP_ID, which srun sets) count. No torch here: the command line asks too.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from vitreous.errors import ConfigError


@dataclass(frozen=True)
class Process:
    """One process of a job.

    Args:
        rank: from 0 over all machines; 0 writes the run folder.
        size: how many processes the job has.
        local_rank: from 0 on this machine; its GPU.
        address: `host:port` where they meet, None where torchrun has arranged it.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str | None = None

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0


def this_process(environment: Mapping[str, str] | None = None) -> Process:
    """Rank and size as the launcher says; one process alone where there is none.

    Args:
        environment: variables; those of the process by default.

    Raises:
        ConfigError: variables that contradict each other.
    """
    given = os.environ if environment is None else environment
    if "RANK" in given and "WORLD_SIZE" in given:
        return _checked(given["RANK"], given["WORLD_SIZE"], given.get("LOCAL_RANK", "0"), None)
    if "SLURM_PROCID" in given and "SLURM_STEP_ID" in given and given.get("SLURM_NTASKS", "1") != "1":
        return _checked(
            given["SLURM_PROCID"], given["SLURM_NTASKS"], given.get("SLURM_LOCALID", "0"), _meeting(given)
        )
    return Process()


def _checked(rank: str, size: str, local_rank: str, address: str | None) -> Process:
    try:
        process = Process(int(rank), int(size), int(local_rank), address)
    except ValueError:
        process = Process(-1)
    if not 0 <= process.rank < process.size:
        raise ConfigError(
            f"the launcher's variables say rank {rank} of {size} processes, local rank {local_rank}; "
            "start with torchrun, srun or --devices, or unset RANK and WORLD_SIZE"
        )
    return process


def _meeting(given: Mapping[str, str]) -> str:
    """Where the processes of a Slurm step meet: its first host, and a port made from the job's number."""
    job = re.sub(r"\D", "", given.get("SLURM_JOB_ID", "")) or "0"
    step = re.sub(r"\D", "", given.get("SLURM_STEP_ID", "")) or "0"
    port = given.get("MASTER_PORT") or str(20_000 + (int(job) * 16 + int(step)) % 20_000)
    nodes = next((given[name] for name in _NODES if given.get(name)), "localhost")
    return f"{given.get('MASTER_ADDR') or first_host(nodes)}:{port}"


_NODES = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")


def first_host(nodes: str) -> str:
    """The first host of a Slurm list such as `gpu[003-006,9],cpu1`: as scontrol says, else read here."""
    try:
        told = subprocess.run(
            ["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, timeout=10, check=True
        ).stdout.split()
        if told:
            return told[0]
    except (OSError, subprocess.SubprocessError):
        pass
    host = re.match(r"[^\[,]*(\[[^\]]*\][^\[,]*)*", nodes)
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", host[0] if host else nodes)
