"""Counts and names as messages tell them."""

from collections.abc import Iterable


def plural(count: int, noun: str) -> str:
    """`1 image`, `1,200 images`, `2 classes`."""
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"


def first_few(names: Iterable[object], most: int = 3) -> str:
    """The first few names with commas between, and a sign that there are more."""
    every = [str(name) for name in names]
    return ", ".join(every[:most]) + (" …" if len(every) > most else "")
