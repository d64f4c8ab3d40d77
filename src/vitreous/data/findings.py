"""What a check of a data set answers: one sentence, how bad it is, what to do, and which images.

An *error* falsifies results: a number measured on such data means something else than it says. A *warning*
costs accuracy or makes a comparison unfair. Both come with an advice.
"""

from dataclasses import dataclass
from typing import Literal

OK: Literal["ok"] = "ok"
WARNING: Literal["warning"] = "warning"
ERROR: Literal["error"] = "error"
Level = Literal["ok", "warning", "error"]
MARKS = {OK: "✓", WARNING: "!", ERROR: "✗"}


@dataclass(frozen=True)
class Finding:
    """The answer of one check.

    Args:
        check: name, such as `duplicates across splits`.
        level: `ok`, `warning` or `error`.
        text: one sentence.
        advice: what to do; empty where nothing has to be done.
        items: all images or classes that it is about.
    """

    check: str
    level: Level
    text: str
    advice: str = ""
    items: tuple[str, ...] = ()


def share(part: int, whole: int) -> str:
    """A part as per cent with two digits that count."""
    return f"{100 * part / max(1, whole):.2g} %"
