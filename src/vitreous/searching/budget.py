"""What a model may cost: `macs=0.6G,params=6M,latency_ms=8,memory=200MB`.

MACs and parameters are exact and known before anything is built. Latency is measured on the device of the
search, memory is what `memory.py` counts.
"""

import re
from dataclasses import dataclass

from vitreous.errors import ConfigError, VitreousError, did_you_mean

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
NAMES = ("macs", "params", "latency_ms", "memory")


class BudgetError(VitreousError):
    """No model of the space is within the budget."""

    exit_code = 6


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits, each included; None for none.

    Args:
        macs: multiply-accumulates for one image.
        params: trainable values.
        latency_ms: median milliseconds of a batch at the search's batch size.
        memory: bytes at inference.
    """

    macs: int | None = None
    params: int | None = None
    latency_ms: float | None = None
    memory: int | None = None

    def __str__(self) -> str:
        told = [
            f"{name}={_short(getattr(self, name), name)}" for name in NAMES if getattr(self, name) is not None
        ]
        return ",".join(told) or "none"

    def allows(self, macs: int, params: int) -> bool:
        """Whether the two exact costs are within."""
        return (self.macs is None or macs <= self.macs) and (self.params is None or params <= self.params)


def parse_budget(given: str) -> Budget:
    """The budget that a text names; "" is none.

    Raises:
        ConfigError: an unknown name, a limit that is not a positive number, or one given twice.
    """
    limits: dict[str, float] = {}
    for each in filter(None, (part.strip() for part in given.split(","))):
        name, _, text = each.partition("=")
        name = name.strip().lower()
        if name not in NAMES:
            near = did_you_mean(name, NAMES) or f"; {', '.join(NAMES)} work"
            raise ConfigError(f"budget {name!r} is not a cost{near}")
        found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*([kmgt]?)(i?b|ms)?", text.strip().lower())
        value = float(found[1]) * UNITS[found[2].upper()] if found else 0.0
        if value <= 0 or name in limits:
            twice = "is given twice" if name in limits else f"is {text.strip()!r}"
            raise ConfigError(
                f"budget: {name} {twice}; for example macs=0.6G,params=6M,latency_ms=8,memory=200MB"
            )
        limits[name] = value
    return Budget(
        macs=_whole(limits.get("macs")),
        params=_whole(limits.get("params")),
        latency_ms=limits.get("latency_ms"),
        memory=_whole(limits.get("memory")),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _short(value: float, name: str) -> str:
    if name == "latency_ms":
        return f"{value:g}"
    for unit in ("T", "G", "M", "K"):
        if value >= UNITS[unit]:
            return f"{value / UNITS[unit]:.4g}{unit}" + ("B" if name == "memory" else "")
    return f"{value:g}"
