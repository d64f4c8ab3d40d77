"""A progress bar on stderr for work that takes over two seconds, and none in a log file."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")
PATIENCE_S = 2.0


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items as they are; a bar appears when they take long and somebody is watching.

    Args:
        items: anything iterable.
        total: how many there will be.
        what: a few words in front of the bar.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=total)
    begin = time.monotonic()
    try:
        for done, item in enumerate(items, start=1):
            yield item
            bar.update(task, completed=done)
            if time.monotonic() - begin > PATIENCE_S and not bar.live.is_started:
                bar.start()
    finally:
        bar.stop()
