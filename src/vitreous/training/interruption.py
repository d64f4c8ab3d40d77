"""Being told to stop: finish the step, write a checkpoint, leave with the right exit code.

SIGTERM and SIGUSR1 (what schedulers send before they kill) ask for exit code 75, Ctrl-C for 130. While
nothing is trained yet they stop at once; inside `with interruption.postponed():` they only raise a flag
that the loop looks at after every step. A second Ctrl-C does not wait.
"""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self

from vitreous.errors import StoppedError

logger = logging.getLogger("vitreous")
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name)]


class Interruption:
    """Signal handlers for the length of a `with` block (in the main thread; elsewhere Python allows none)."""

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._postponing = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {each: signal.signal(each, self._handle) for each in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def postponed(self) -> Iterator[None]:
        """Collect requests instead of stopping at once."""
        self._postponing = True
        try:
            yield
        finally:
            self._postponing = False

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, else 75."""
        return 130 if self.requested == signal.SIGINT else 75

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.requested == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = signal.Signals(number)
        if not self._postponing:
            raise StoppedError(
                f"stopped by {self.requested.name} while no step was in progress; the same command continues",
                self.exit_code,
            )
        logger.warning(
            "%s: stopping after this step with a checkpoint%s",
            self.requested.name,
            "; Ctrl-C again quits at once" if number == signal.SIGINT else "",
        )
