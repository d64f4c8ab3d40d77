"""The errors a user can meet, each one sentence with its exit code.

A message says where, what was given, and what would work. Commands print it without a traceback
(`--debug` shows one) and exit with `exit_code`; library callers catch `VitreousError`.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class VitreousError(Exception):
    """Base of every error that vitreous raises on purpose."""

    exit_code = 1
    told = False
    """Whether another process, whose error it is, tells it."""


class ConfigError(VitreousError, ValueError):
    """A name, option, size or file of settings that cannot be used."""

    exit_code = 2


class ResumeMismatch(ConfigError):
    """A run folder that belongs to other settings than those asked for."""


class DataError(VitreousError, ValueError):
    """Images, labels or class maps that cannot be used."""

    exit_code = 3


class DivergedError(VitreousError):
    """Training produced a value that is not finite."""

    exit_code = 4


class VerifyError(VitreousError):
    """A check of an output against its reference failed."""

    exit_code = 5


class StoppedError(VitreousError):
    """Training was told to stop, wrote a checkpoint and can be continued.

    `exit_code` is 75 for SIGTERM and time limits, 130 for Ctrl-C.
    """

    exit_code = 75

    def __init__(self, message: str, exit_code: int = 75) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LostProcessError(VitreousError):
    """Another of the processes that train together ended or does not answer; the run can be continued."""

    exit_code = 75


def did_you_mean(name: str, known: Iterable[str], most: int = 3) -> str:
    """The nearest known names as a clause for an error message, or an empty string.

    Args:
        name: what was typed.
        known: what would have been accepted.
        most: how many names to offer.
    """
    lowered = {each.lower(): each for each in known}
    near = [lowered[each] for each in get_close_matches(name.lower(), lowered, n=most, cutoff=0.5)]
    if not near:
        return ""
    return f"; did you mean {' or '.join(near)}?"
