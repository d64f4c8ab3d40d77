"""Decoding in threads: Pillow and pyarrow leave the interpreter lock alone while they work on pixels."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from vitreous.data.progress import counted

Result = TypeVar("Result")
IMAGES_PER_CHUNK = 64


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[int], Result], rows: np.ndarray, what: str) -> Iterator[Result]:
    """`work` of every row, in order, with a progress bar.

    Args:
        work: called from several threads at once; what it raises is raised here.
        rows: its arguments.
        what: a few words in front of the bar.
    """

    def chunk_of(chunk: list[int]) -> list[Result]:
        return [work(i) for i in chunk]

    def results() -> Iterator[Result]:
        chunks = [rows[at : at + IMAGES_PER_CHUNK].tolist() for at in range(0, len(rows), IMAGES_PER_CHUNK)]
        with ThreadPoolExecutor(min(cores(), 16)) as pool:
            try:
                for finished in pool.map(chunk_of, chunks):
                    yield from finished
            finally:
                pool.shutdown(wait=True, cancel_futures=True)  # after an error, do not finish the rest

    yield from counted(results(), len(rows), what)
