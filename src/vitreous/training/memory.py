"""Out of memory: which batch size would have fitted.

Halves of the batch are tried with a real forward and backward pass, largest first, so the answer is
measured, not estimated. Nothing of it touches the weights.
"""

from collections.abc import Callable

import torch

_SPOKEN = ("can't allocate memory", "not enough memory", "out of memory", "allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error).lower() for each in _SPOKEN)


def largest_that_fits(attempt: Callable[[int], None], batch_size: int) -> int | None:
    """The largest of batch_size/2, /4, … for which `attempt` does not run out of memory; None where none
    does.

    Args:
        attempt: does a forward and backward pass over this many images.
        batch_size: what did not fit.
    """
    size = batch_size // 2
    while size >= 1:
        try:
            attempt(size)
            return size
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        size //= 2
    return None


def out_of_memory_sentence(batch_size: int, device: str, fits: int | None) -> str:
    """What to tell the user."""
    begin = f"out of memory on {device}: a batch of {batch_size} images does not fit"
    if fits is None:
        return f"{begin}, nor does a single one; a smaller --image-size or --model needs less"
    parts = next(n for n in range(-(-batch_size // fits), batch_size + 1) if batch_size % n == 0)
    return (
        f"{begin}, {fits} do: use --batch-size {fits}, or --recipe.accumulate {parts} to keep the batch of "
        f"{batch_size} in {parts} parts"
    )
