"""Keeps the memory of a worker flat: what is freed goes back to the system, with the C library of GNU.

Tensors change their size from step to step. By itself glibc soon keeps blocks of up to 32 MB in its
heap; the gaps that they leave there fit nothing, and the process grows, slowly and for hours.
"""

import ctypes
import os
from typing import Any

# glibc's numbers for mallopt(3), and the limits in bytes that a worker sets.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGE = 8 << 20  # smaller ones are too many: each costs the system's work of handing out pages
SPARE = 128 << 20


def keep_memory_flat() -> None:
    """Take large blocks from the system, and give them back as soon as they are freed.

    Whoever sets ``MALLOC_MMAP_THRESHOLD_`` decides otherwise. Other C libraries are let be.
    """
    set_limit = _of_c_library("mallopt")
    if set_limit is None or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return
    set_limit(MMAP_THRESHOLD, LARGE)
    set_limit(TRIM_THRESHOLD, SPARE)  # setting the first one has lowered it


def trim_memory() -> None:
    """Give back the gaps in the heap. They cost their pages anew when they are filled again."""
    trim = _of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_c_library(name: str) -> Any:
    """A function of the C library; None where it has none of that name."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
