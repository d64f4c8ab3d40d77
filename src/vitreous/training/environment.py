"""What a run ran on: versions, processor or GPU, threads, and the variables that steer them; no host name.

Kept as `env.json`, to answer why two runs differ. Secrets are blanked where the file is written.
"""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "vitreous", "torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "scikit-learn", "pyarrow",
)  # fmt: skip
VARIABLES = (
    "VITREOUS_", "OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "ONEDNN_", "DNNL_", "TORCH", "PYTORCH_",
    "CUDA_", "CUBLAS_", "NVIDIA_TF32", "NCCL_", "SLURM_JOB", "SLURM_CPUS", "NO_COLOR", "CI",
)  # fmt: skip


def describe_environment(device: str) -> dict[str, Any]:
    """JSON-able facts.

    Args:
        device: the run's device.
    """
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "byte_order": sys.byteorder,
        "variables": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)
        },
    }
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(torch.device(device))
        facts["gpu"] = {
            "name": properties.name,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return facts


def processor_name() -> str:
    """The processor as its maker calls it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
