"""One sentence on the hardware and versions that a figure was measured on."""

import platform

import timm
import torch
import torchvision

import vitreous
from vitreous.training.environment import processor_name


def describe_machine(device: str = "auto") -> str:
    """Processor or GPU, threads, Python and library versions; no host name."""
    on_gpu = (torch.cuda.is_available() and device in ("auto", "cuda")) or device.startswith("cuda:")
    if on_gpu:
        hardware = torch.cuda.get_device_name()
    else:
        hardware = f"{processor_name()}, {torch.get_num_threads()} threads{_matrix_units()}"
    return (
        f"{hardware}; Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}, "
        f"torchvision {torchvision.__version__.split('+')[0]}, timm {timm.__version__}, "
        f"vitreous {vitreous.__version__}"
    )


def _matrix_units() -> str:
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    named = [name for name in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2") if able.get(name)]
    return f" ({named[0]})" if named else ""
