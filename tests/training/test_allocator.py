"""Freed memory stays with the process while a run lasts."""

import platform
import resource

import pytest
import torch

from vitreous.training.allocator import memory_kept

pytestmark = pytest.mark.quiet

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these thresholds")


def page_faults() -> int:
    """Of five times allocating, filling and freeing a block of 48 MB, after three that do not count."""
    before = 0
    for number in range(8):
        if number == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(12_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@glibc
def test_a_step_that_repeats_its_allocations_meets_no_new_pages():
    with memory_kept() as kept:
        assert kept
        # handed back each time, five times 48 MB would always be some 58,000 pages of 4 KiB; kept, the
        # heap grows once in a while, so the best of several counts
        assert min(page_faults() for _ in range(5)) < 1000


def test_elsewhere_nothing_is_touched(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with memory_kept() as kept:
        assert not kept
