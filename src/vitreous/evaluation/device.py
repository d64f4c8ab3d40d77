"""The device that a user names, or the fastest one there is."""

import torch

from vitreous.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """`auto` is a GPU where torch sees one.

    Raises:
        ConfigError: no such device, or torch cannot use it here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise ConfigError(
            f"--device {name} cannot be used here ({reason}); auto, cpu, cuda, cuda:1 and mps are names"
        ) from None
    return device
