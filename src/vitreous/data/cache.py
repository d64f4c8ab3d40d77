"""Where derived files live: `VITREOUS_HOME`, or `~/.cache/vitreous`; never the user's data folder.

Every file is written under a temporary name, synced and renamed, so that a reader sees the whole file
or none. A cache is only a shortcut: where it cannot be written, work goes on without it.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

logger = logging.getLogger("vitreous")


def cache_folder() -> Path:
    """Root of everything vitreous keeps between runs; it may not exist yet."""
    home = os.environ.get("VITREOUS_HOME")
    return Path(home).expanduser() if home else Path.home() / ".cache" / "vitreous"


def content_key(parts: Iterable[object]) -> str:
    """A name of 24 hex digits for the given values, in their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape"))
        digest.update(b"\0")
    return digest.hexdigest()[:24]


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and rename it to `path`.

    Raises:
        OSError: the folder cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def keep(path: Path, write: Callable[[Path], None]) -> bool:
    """Write a cache file; where that fails, say so once in the log and return False."""
    try:
        write_atomically(path, write)
    except OSError as error:
        logger.warning("cache not written, the next run repeats this work: %s", error)
        return False
    return True
