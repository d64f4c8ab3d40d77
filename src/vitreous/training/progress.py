"""What a person sees while a run trains: one live line on a terminal, plain lines elsewhere.

    epoch 3.4/12  loss 1.482  lr 6.1e-04  |g| 0.92  1,043 img/s  data 2 %  14:20 left

The live line is rich's and goes to stderr. Not on a terminal (a file, a pipe, CI) a plain line comes at
most every ten seconds, and one with the validation after every epoch, through the logger, so that it is in
`train.log` too.
"""

import logging
import time
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.2
MEMORY = 0.95  # of the running means of speed and waiting
logger = logging.getLogger("vitreous")


class ProgressLine:
    """Shows how far a run is; use as a context manager.

    Args:
        total_steps: of the run.
        steps_per_epoch: optimizer steps in an epoch.
        batch_size: images of a step.
        overhead: seconds of validation per second of training, for the time left.
        console: where to; stderr by default.
    """

    def __init__(
        self, *, total_steps: int, steps_per_epoch: int, batch_size: int, console: Console | None = None
    ) -> None:
        self._console = console or Console(stderr=True)
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._total = total_steps
        self._per_epoch = steps_per_epoch
        self._batch = batch_size
        self._step_s: float | None = None
        self._wait_s = 0.0
        self._begin: tuple[float, int] | None = None
        self._shown = 0.0

    def __enter__(self) -> Self:
        self._shown = time.monotonic()
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def step(self, done: int, *, loss: float, lr: float, norm: float, step_s: float, data_s: float) -> None:
        """Take note of a step.

        Args:
            done: steps done so far.
            loss: of the step (of the one before on a GPU, where reading it would wait).
            lr: learning rate.
            norm: gradient norm before clipping.
            step_s: seconds from batch to batch.
            data_s: seconds of it spent waiting for images and augmenting them.
        """
        now = time.monotonic()
        if self._step_s is None or self._begin is None:
            self._step_s, self._wait_s, self._begin = step_s, data_s, (now, done)
        else:
            self._step_s = MEMORY * self._step_s + (1 - MEMORY) * step_s
            self._wait_s = MEMORY * self._wait_s + (1 - MEMORY) * data_s
        if now - self._shown < (LIVE_EVERY_S if self._live else PLAIN_EVERY_S):
            return
        self._shown = now
        begun, first = self._begin
        # validation included, since it is part of what has passed
        per_step = (now - begun) / (done - first) if done - first > 5 else self._step_s
        line = (
            f"epoch {done / self._per_epoch:.1f}/{self._total / self._per_epoch:.4g}  "
            f"loss {loss:.3f}  lr {lr:.1e}  |g| {norm:.2f}  {self._batch / self._step_s:,.0f} img/s  "
            f"data {100 * self._wait_s / self._step_s:.0f} %  {clock(per_step * (self._total - done))} left"
        )
        if self._live:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            logger.info("%s", line)

    def say(self, message: str) -> None:
        """A line that stays, above the live one."""
        if self._live is None:
            logger.info("%s", message)
            return
        self._live.stop()  # transient: the live line is wiped, then drawn again below the message
        logger.info("%s", message)
        self._live.start()


def clock(seconds: float) -> str:
    """`0:42`, `14:20` or `3:05:00`."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
