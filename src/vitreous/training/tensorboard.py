"""The metrics of a run in TensorBoard's format: a copy of `metrics.jsonl`, under the same names and steps.

    RUN/tensorboard/events.out.tfevents.…                 tensorboard --logdir runs

The copy keeps no state. Where a run begins or goes on it is made anew from the events of `metrics.jsonl`,
which a continued run has cut back to its checkpoint by then, and follows them from there. So no step is in it
twice and none is missing, however a run ended, and it may be asked for at any time, for a finished run too.
torch's own writer does the work.
"""

import importlib.util
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError

FOLDER = "tensorboard"
FLUSH_S = 10


def check_tensorboard() -> None:
    """Raises ConfigError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "log tensorboard needs TensorBoard; pip install 'vitreous[tensorboard]' brings it, and "
            "metrics.jsonl is written without it"
        )


class EventFile:
    """The copy of one run; what it held before is replaced.

    Args:
        run: the run folder.
        events: all that `metrics.jsonl` holds.
    """

    def __init__(self, run: Path, events: Iterable[Mapping[str, Any]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run / FOLDER
        earlier = list(folder.glob("events.out.tfevents.*"))
        # from step 0 on: a TensorBoard that is open drops what it has read of this run
        self._writer = SummaryWriter(str(folder), purge_step=0, flush_secs=FLUSH_S)
        for event in events:
            self.write(event)
        self._writer.flush()
        for each in earlier:
            each.unlink()

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event; what has a slash in its name is a metric."""
        at = datetime.fromisoformat(event["time"]).timestamp()
        for name, value in event.items():
            if "/" in name:
                self._writer.add_scalar(name, value, event["step"], at)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._writer.close()
