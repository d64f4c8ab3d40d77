"""On track: each validation of a run beside the curve that is known for its recipe.

    epoch 37: 52.1 % (reference 52.4, band 51.6 to 53.0) ✓

A curve is a small JSON file: points (epochs done, value, low, high), read linearly in between. Those under
`reference/` are shipped; `vitreous runs reference` makes one of a set of runs (mean ± 2 standard deviations).
Only like is compared with like: the conditions in the file (epochs, classes, image size, …) must hold, else
it is said once that nothing is compared. A run is never changed by it. Ours; the idea of bands is ours too.
"""

import json
import logging
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError, did_you_mean
from vitreous.training.plan import Plan

SHIPPED = Path(__file__).parent / "reference"
SAME_LENGTH = 0.01  # epochs may differ by one in a hundred
Point = tuple[float, float, float, float]
logger = logging.getLogger("vitreous")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What a recipe is known to reach, over its training.

    Args:
        name: of the curve.
        source: whose runs these are, and where the figures come from.
        band: what low and high mean.
        metric: name in `metrics.jsonl`, such as `val/top1`.
        conditions: what must hold for a comparison, by the names of `conditions_of`.
        points: (epochs done, value, low, high), epochs rising, fractions 0 to 1.
    """

    name: str
    source: str
    band: str
    metric: str = "val/top1"
    conditions: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[Point, ...] = ()

    def at(self, epoch: float) -> tuple[float, float, float] | None:
        """Value, low and high after so many epochs; None before the first point."""
        if not self.points or epoch < self.points[0][0]:
            return None
        after = bisect_right([point[0] for point in self.points], epoch)
        if after == len(self.points):
            return self.points[-1][1:]
        before, behind = self.points[after - 1], self.points[after]
        share = (epoch - before[0]) / (behind[0] - before[0])
        value, low, high = (a + share * (b - a) for a, b in zip(before[1:], behind[1:], strict=True))
        return value, low, high

    def standing(self, epoch: float, value: float) -> str | None:
        """One line on where a value stands after so many epochs; None where the curve says nothing.

        Args:
            epoch: passes over the training images so far.
            value: of `metric`, 0 to 1.
        """
        known = self.at(epoch)
        if known is None:
            return None
        reference, low, high = known
        verdict = "✓" if low <= value <= high else "✗ below the band" if value < low else "above the band"
        return (
            f"epoch {epoch:.4g}: {100 * value:.1f} % (reference {100 * reference:.1f}, "
            f"band {100 * low:.1f} to {100 * high:.1f}) {verdict}"
        )

    def to_text(self) -> str:
        """The file: JSON, one point a line."""
        head = json.dumps({"schema_version": 1, **asdict(self)} | {"points": 0}, indent=1, ensure_ascii=False)
        points = ",\n  ".join(json.dumps([round(each, 5) for each in point]) for point in self.points)
        return head.replace('"points": 0', f'"points": [\n  {points}\n ]') + "\n"


def load_curve(name_or_file: str) -> Curve:
    """A shipped curve by name, or one from a file.

    Raises:
        ConfigError: an unknown name, or a file that is no curve.
    """
    shipped = sorted(each.stem for each in SHIPPED.glob("*.json"))
    is_file = name_or_file.endswith(".json")
    if not is_file and name_or_file not in shipped:
        raise ConfigError(
            f"reference {name_or_file!r} is not a known curve ({', '.join(shipped)}); a file of "
            f"`vitreous runs reference` works too{did_you_mean(name_or_file, shipped)}"
        )
    path = Path(name_or_file) if is_file else SHIPPED / f"{name_or_file}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("schema_version") != 1:
            raise ValueError("its schema_version is not 1")
        curve = Curve(**values | {"points": tuple(tuple(map(float, each)) for each in values["points"])})
        if any(len(each) != 4 for each in curve.points) or list(curve.points) != sorted(curve.points):
            raise ValueError("points are four numbers, epochs rising")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"reference {path} cannot be read as a curve: {said}") from error
    return curve


def conditions_of(plan: Plan) -> dict[str, Any]:
    """What a run is compared by."""
    image = plan.config.image
    return {
        "model": plan.config.name,
        "epochs": round(plan.epochs, 4),
        "classes": len(plan.classes),
        "image_size": f"{image.height}x{image.width}",
        "data": plan.fingerprint,
    }


def follow(reference: str | None, plan: Plan) -> Curve | None:
    """The curve that a run is compared with, or None; what stands against it is said here, once.

    Args:
        reference: as in the settings.
        plan: of the run.
    """
    if reference is None:
        return None
    curve = load_curve(reference)
    here = conditions_of(plan)
    unlike = [
        f"{name} {here.get(name)}, the curve's {wanted}"
        for name, wanted in curve.conditions.items()
        if not _alike(here.get(name), wanted)
    ]
    if unlike:
        logger.info("not compared with the curve %s: %s", curve.name, "; ".join(unlike))
        return None
    logger.info("each validation is compared with %s: %s; band: %s", curve.name, curve.source, curve.band)
    return curve


def _alike(here: Any, wanted: Any) -> bool:
    if isinstance(here, float) and isinstance(wanted, int | float):
        return abs(here - wanted) <= SAME_LENGTH * wanted
    return bool(here == wanted)
