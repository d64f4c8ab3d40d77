"""Keep freed memory for the next step instead of handing it back to the operating system.

A training step allocates and frees the same hundreds of megabytes again and again. glibc returns large
blocks to the kernel as soon as they are free and gets them back as untouched pages, so that a step of a
small model spends a sixth of its time in page faults (benchmarks/results). Two thresholds of glibc's
allocator, set for the length of a run, end that; results do not change. Other C libraries have no such
calls and are left alone; GPUs have torch's own cache.
"""

import contextlib
import ctypes
import platform
from collections.abc import Iterator

# from glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 1 << 30
# where glibc's own rule ends up in a process that has freed large blocks
USUAL = {M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 64 << 20}


@contextlib.contextmanager
def memory_kept() -> Iterator[bool]:
    """Whether freed memory is kept inside the `with`; afterwards it goes back to the system."""
    if platform.libc_ver()[0] != "glibc":
        yield False
        return
    library = ctypes.CDLL(None)
    kept = all(library.mallopt(option, LARGE) == 1 for option in USUAL)
    try:
        yield kept
    finally:
        for option, value in USUAL.items():
            library.mallopt(option, value)
        library.malloc_trim(0)
