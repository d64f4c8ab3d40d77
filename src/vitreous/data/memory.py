"""How much memory is free for decoded images: the machine's, the container's, the GPU's."""

from pathlib import Path

import torch


def available_bytes() -> int:
    """Memory that this process can still take, within the machine and its control group.

    Where neither says (macOS, Windows), 4 GiB are assumed.
    """
    figures = [figure for figure in (_machine(), _control_group()) if figure is not None]
    return min(figures) if figures else 4 << 30


def device_bytes(device: torch.device) -> int:
    """Free memory of a GPU; 0 where it cannot be asked for."""
    if device.type != "cuda":
        return 0
    return int(torch.cuda.mem_get_info(device)[0])


def in_words(count: int) -> str:
    """Bytes as a person reads them: `147 MiB`, `21.3 GiB`."""
    if count < 1 << 30:
        return f"{max(count, 0) / (1 << 20):.3g} MiB"
    return f"{count / (1 << 30):.3g} GiB"


def _machine(file: Path = Path("/proc/meminfo")) -> int | None:
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _control_group(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Limit minus use of the tightest control group around this process, version 2 or 1."""
    if not own.exists():
        return None
    free: list[int] = []
    for line in own.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            base, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        inside = Path(path.lstrip("/"))
        for folder in (base / inside, *(base / parent for parent in inside.parents)):
            limit, used = folder / names[0], folder / names[1]
            try:
                text = limit.read_text().strip()
                if text != "max":
                    free.append(int(text) - int(used.read_text()))
            except (OSError, ValueError):
                continue  # the root group has no limit, and a container sees only its own part
    return min(free) if free else None
