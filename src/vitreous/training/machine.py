"""What this machine can do for training, as plain facts; the rules over them are in `automatic.py`."""

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Facts of a machine.

    Args:
        gpu: name of the first CUDA device, None without one.
        gpu_bfloat16: whether that device computes bfloat16 natively.
        mps: whether there is an Apple GPU.
        cpu_bfloat16: `amx` (matrix units), `avx512` (dot products), or None (emulated, slow).
        threads: torch's threads.
        cpu_compiler: a C++ compiler that torch.compile can use for the CPU.
        gpu_compiler: Triton, which torch.compile needs for a GPU, and a C compiler, which Triton needs.
    """

    gpu: str | None = None
    gpu_bfloat16: bool = False
    mps: bool = False
    cpu_bfloat16: Literal["amx", "avx512"] | None = None
    threads: int = 1
    cpu_compiler: bool = False
    gpu_compiler: bool = False


def look_at_machine() -> Machine:
    """The machine that this process runs on."""
    gpu = torch.cuda.is_available()
    return Machine(
        gpu=torch.cuda.get_device_name() if gpu else None,
        gpu_bfloat16=gpu and torch.cuda.is_bf16_supported(including_emulation=False),
        mps=torch.backends.mps.is_available(),
        cpu_bfloat16=_cpu_bfloat16(),
        threads=torch.get_num_threads(),
        cpu_compiler=any(map(shutil.which, ("g++", "clang++", "c++"))),
        gpu_compiler=find_spec("triton") is not None and any(map(shutil.which, ("gcc", "clang", "cc"))),
    )


def _cpu_bfloat16() -> Literal["amx", "avx512"] | None:
    # torch's own checks, private by name in 2.11 to 2.15 and absent on some platforms
    if getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        return "amx"
    if getattr(torch.cpu, "_is_avx512_bf16_supported", bool)():
        return "avx512"
    return None
