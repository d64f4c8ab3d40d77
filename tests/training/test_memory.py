"""Out of memory: the batch that would fit is found by trying."""

import pytest
import torch

from vitreous.training.memory import is_out_of_memory, largest_that_fits, out_of_memory_sentence


def refuse_above(most: int):
    tried = []

    def attempt(size: int) -> None:
        tried.append(size)
        if size > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    return attempt, tried


def test_halves_are_tried_until_one_fits():
    attempt, tried = refuse_above(100)
    assert largest_that_fits(attempt, 512) == 64
    assert tried == [256, 128, 64]


def test_a_single_image_that_does_not_fit_is_told_apart():
    attempt, _ = refuse_above(0)
    assert largest_that_fits(attempt, 8) is None
    assert "nor does a single one" in out_of_memory_sentence(8, "cuda", None)


def test_another_error_is_not_taken_for_a_lack_of_memory():
    def attempt(size: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        largest_that_fits(attempt, 8)


@pytest.mark.parametrize("batch", [96, 100, 128, 77])
def test_the_sentence_names_parts_that_divide_the_batch(batch: int):
    sentence = out_of_memory_sentence(batch, "cpu", 12)
    parts = int(sentence.split("accumulate ")[1].split(" ")[0])
    assert batch % parts == 0
    assert batch / parts <= 12
    assert "--batch-size 12" in sentence


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: BaseException, expected: bool):
    assert is_out_of_memory(error) is expected


def test_the_cpu_allocator_really_raises_what_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
