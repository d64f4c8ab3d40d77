"""The time of a search: what its phases took, and how `--time` is shared among them.

    half of what is free       the supernet
    a fifth                    evolution, with --compare half of it for a random search
    a fifth, with --correlate  short runs that say what the ranking is worth
    the rest                   retraining, the same for each network

Free is what remains of the time when images are read, everything is built and a step is measured, less what
the report takes. How long a phase lasts is decided when it begins, from what is left then, and kept in
`plan.json`: the next phase makes up for what one took too long or too short. Ours.
"""

import contextlib
import time
from collections.abc import Iterator

from vitreous.searching.folder import SearchFolder
from vitreous.training.time_budget import parse_time

SUPERNET, EVOLUTION, CORRELATION = 0.5, 0.2, 0.2
"""Shares of the free time; retraining has what is left."""
REPORT_S = 3.0  # tables, pictures and the model at the end


class Clock:
    """Runs from the beginning of a command.

    Args:
        folder: of the search; keeps what phases took, where this process leads.
        given: `--time`, None for none.
        begun: `time.perf_counter()` at the beginning; None for now.
    """

    def __init__(self, folder: SearchFolder, given: str | None, begun: float | None = None) -> None:
        self.begun = time.perf_counter() if begun is None else begun
        self.given_s = None if given is None else parse_time(given)
        self.seconds: dict[str, float] = dict(folder.plan.get("seconds", {}))
        self._before_s = sum(self.seconds.values())
        self._planned_s: float = folder.plan.get("planned_s", 0.0)
        self._folder = folder

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add what a phase takes, in all processes that led this search and came to its end."""
        begin = time.perf_counter()
        yield
        self._add(name, time.perf_counter() - begin)

    def prepared(self) -> None:
        """Count all that came before the first phase as `preparation`."""
        self._add("preparation", time.perf_counter() - self.begun)

    @property
    def spent_s(self) -> float:
        """Seconds so far, pauses left out.

        What a process did in a phase before it was killed is not known: for a search that goes on, it is at
        least what was planned up to here.
        """
        return max(self._before_s + time.perf_counter() - self.begun, self._planned_s)

    @property
    def left_s(self) -> float:
        """Seconds that are still free; below 0 where the time is used up.

        Raises:
            TypeError: no time was given.
        """
        if self.given_s is None:
            raise TypeError("a search without --time has no time left or used up")
        return self.given_s - self.spent_s - REPORT_S

    def plan(self, seconds: float) -> None:
        """Note how long the phase takes that begins now, should another process have to go on after it."""
        self._folder.decide(planned_s=self.spent_s + seconds)

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self._folder.decide(seconds=self.seconds)
