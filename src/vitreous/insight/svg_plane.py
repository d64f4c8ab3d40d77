"""The frame that curves and points are drawn in: two axes with round numbers, thin lines across.

Sizes are in units of the drawing's view box, which the page scales to the width that there is.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 40
RULE = (
    '<line class="KIND" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>'
    '<text x="{}" y="{:.1f}" class="end">{}</text>'
)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two values."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A tick as text."""
    if value == 0:
        return "0"
    return f"{value:.0e}" if abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:g}"


class Plane:
    """Where values stand in the drawing.

    Args:
        xs, ys: all values that have to fit in; none is infinite.
        log: whether y is logarithmic; its values are then positive.
        margin: left and right of the values, as a share of their range.
    """

    def __init__(
        self, xs: Sequence[float], ys: Sequence[float], *, log: bool = False, margin: float = 0.0
    ) -> None:
        self.log = log
        self._whole = all(float(x).is_integer() for x in xs)
        self.low_x, self.high_x = min(xs), max(xs)
        low, high = (math.log10(min(ys)), math.log10(max(ys))) if log else (min(ys), max(ys))
        pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        self.low_y, self.high_y = low - pad, high + pad
        if self.high_x == self.low_x:
            apart = abs(self.low_x) * 0.1 if margin else 1.0
            self.low_x, self.high_x = self.low_x - (apart or 1.0), self.high_x + (apart or 1.0)
        wide = margin * (self.high_x - self.low_x)
        self.low_x, self.high_x = self.low_x - wide, self.high_x + wide

    def across(self, x: float) -> float:
        """From the left."""
        return LEFT + (x - self.low_x) / (self.high_x - self.low_x) * (WIDTH - LEFT - RIGHT)

    def down(self, y: float) -> float:
        """From the top."""
        y = math.log10(y) if self.log else y
        return HEIGHT - BOTTOM - (y - self.low_y) / (self.high_y - self.low_y) * (HEIGHT - TOP - BOTTOM)

    def frame(self, x_name: str, y_name: str) -> Markup:
        """Lines across, numbers, and what the axes are."""
        parts = []
        for y in self._heights():
            parts.append(
                Markup(RULE.replace("KIND", "grid")).format(
                    LEFT, WIDTH - RIGHT, LEFT - 6, self.down(y) + 4, number(y), y=self.down(y)
                )
            )
        for x in ticks(self.low_x, self.high_x, 6):
            if not self._whole or float(x).is_integer():
                parts.append(
                    Markup('<text x="{:.1f}" y="{}" class="mid">{}</text>').format(
                        self.across(x), HEIGHT - BOTTOM + 16, number(x)
                    )
                )
        parts.append(
            Markup('<text x="{}" y="{}" class="mid name">{}</text>').format(
                (LEFT + WIDTH) // 2, HEIGHT - 6, x_name
            )
        )
        parts.append(
            Markup('<text transform="translate(11 {}) rotate(-90)" class="mid name">{}</text>').format(
                (HEIGHT - BOTTOM) // 2, y_name
            )
        )
        return Markup("").join(parts)

    def level(self, name: str, y: float) -> Markup:
        """A line across to compare with."""
        at = self.down(y)
        return Markup(RULE.replace("KIND", "level")).format(
            LEFT, WIDTH - RIGHT, WIDTH - RIGHT, at - 4, name, y=at
        )

    def limit(self, name: str, x: float) -> Markup:
        """A line from top to bottom; its name stands above, on the side with more room."""
        at = self.across(x)
        right = at < (LEFT + WIDTH) / 2
        return Markup(
            '<line class="level" x1="{at:.1f}" x2="{at:.1f}" y1="{}" y2="{}"/>'
            '<text x="{:.1f}" y="{}" class="{}">{}</text>'
        ).format(
            TOP,
            HEIGHT - BOTTOM,
            at,
            TOP - 3,
            "begin" if right else "end",
            name,
            at=at,
        )

    def _heights(self) -> list[float]:
        if not self.log:
            return ticks(self.low_y, self.high_y)
        decades = [10.0**power for power in range(math.ceil(self.low_y), math.floor(self.high_y) + 1)]
        return decades if len(decades) > 1 else ticks(10**self.low_y, 10**self.high_y)
