"""How a worker waits for what the process that leads a search does."""

import logging
import time
from collections.abc import Callable

from vitreous.errors import ConfigError
from vitreous.searching.folder import SearchFolder

logger = logging.getLogger("vitreous")


def wait_until(folder: SearchFolder, ready: Callable[[], bool], what: str) -> None:
    """Wait until it is there; says so once.

    Args:
        folder: of the search.
        ready: looks whether it is there.
        what: in words.

    Raises:
        ConfigError: it is not there, and no process leads the search.
    """
    told = False
    while not ready():
        if not folder.led:
            raise ConfigError(
                f"--worker: {folder.path} lacks {what}, and no process leads a search there; start it "
                "without --worker, or where this is a copy of its folder, copy it again in a while"
            )
        if not told:
            logger.info("waiting for %s of %s", what, folder.path)
            told = True
        time.sleep(1.0)
