"""A lock that ends with its process: the operating system lets go of it, however the process ends."""

from pathlib import Path
from typing import TextIO


def hold(file: Path) -> TextIO | None:
    """A lock on a file until what is returned is closed; None where another process has it."""
    opened = file.open("a")
    try:
        import fcntl

        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # not on Windows
        return opened
    except OSError:
        opened.close()
        return None
    return opened
