"""A sign of life for the candidate that is being looked at, into the database that holds the ledger.

Optuna's storages keep a heartbeat for each trial, and `optuna.storages.fail_stale_trials` gives up those
whose last one is too old by the database's own clock. Optuna sends them from `study.optimize` only, which is
not what runs here, so this thread does.
"""

import contextlib
import threading
from collections.abc import Callable


class Heartbeat:
    """Sends, every so often, for one trial at a time.

    Args:
        send: for a trial's number in the database.
        every_s: seconds between two.
    """

    def __init__(self, send: Callable[[int], None], every_s: float) -> None:
        self.send, self._every_s = send, every_s
        self._trial: int | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, trial: int) -> None:
        """From now on for this trial; the first one at once."""
        self.send(trial)
        self._trial = trial
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """For none, until the next `begin`."""
        self._trial = None

    def close(self) -> None:
        """Never again."""
        self.end()
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            trial = self._trial
            if trial is not None:
                with contextlib.suppress(Exception):  # what is wrong with the database, its next use tells
                    self.send(trial)
