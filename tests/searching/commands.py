"""The tiny search of `conftest.py` as words of the command line."""

from pathlib import Path
from typing import Any


def words(space: Any, out: Path, *more: str, epochs: int = 2) -> list[str]:
    """`vitreous` and these do what `tiny_search` does."""
    return [
        "search", "--data", "digits", "--space", str(space), "--out", str(out), "--batch-size", "24",
        "--precision", "float32", "--device", "cpu", "--winners", "1", "--retrain-epochs", "1",
        "--supernet.epochs", str(epochs), "--evolution.population", "4", "--evolution.parents", "2",
        "--evolution.crossover", "2", "--evolution.mutation", "1", "--evolution.generations", "2",
        "--recipe.no-ema", "--loading.limit", "120", *more,
    ]  # fmt: skip
