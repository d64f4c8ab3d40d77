"""Loss spikes: a loss far above what is usual, reported once, with no effect on training.

A step's loss spikes where it is above

    m + max(8 · 1.4826 · MAD, m / 5)        m, MAD: median and median absolute deviation of the last 100

(1.4826 · MAD is the standard deviation of normal values; the fifth keeps very even losses quiet.) Median and
MAD do not follow the spike itself, unlike mean and deviation. A spike lasts until ten losses in a row are
usual again; only its first step is reported. Ours.

The window is kept sorted beside its order of arrival, so a usual step costs a microsecond: the MAD is only
computed for a loss above 1.2 · m.
"""

import statistics
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import Any

WINDOW = 100
FEWEST = 50
DEVIATIONS = 8.0
SHARE = 0.2
USUAL_AGAIN = 10
NORMAL = 1.4826


@dataclass(frozen=True)
class Spike:
    """A loss that is far above the usual ones: itself, their median and their deviation."""

    loss: float
    median: float
    deviation: float


class SpikeWatch:
    """Sees the loss of every step, in order.

    Args:
        state: of an earlier watch, to go on from.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        state = state or {"losses": [], "usual": USUAL_AGAIN}
        self._losses = deque[float](state["losses"], maxlen=WINDOW)
        self._sorted = sorted(self._losses)
        self._usual = int(state["usual"])

    @property
    def state(self) -> dict[str, Any]:
        """All that the watch knows, JSON-able and exact."""
        return {"losses": list(self._losses), "usual": self._usual}

    def see(self, loss: float) -> Spike | None:
        """Take note of a finite loss; the spike that begins with it, if one does."""
        spike = self._judge(loss) if len(self._losses) >= FEWEST else None
        begins = spike is not None and self._usual >= USUAL_AGAIN
        self._usual = 0 if spike else min(self._usual + 1, USUAL_AGAIN)
        if len(self._losses) == WINDOW:
            del self._sorted[bisect_left(self._sorted, self._losses[0])]
        self._losses.append(loss)
        insort(self._sorted, loss)
        return spike if begins else None

    def _judge(self, loss: float) -> Spike | None:
        median = self._sorted[len(self._sorted) // 2]
        if loss <= median * (1 + SHARE):
            return None
        deviation = NORMAL * statistics.median(abs(each - median) for each in self._losses)
        return Spike(loss, median, deviation) if loss > median + DEVIATIONS * deviation else None
