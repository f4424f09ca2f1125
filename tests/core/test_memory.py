"""A process' memory goes back to the system when it is freed. Each trial is a process of its own."""

import os
import platform
import subprocess
import sys
from unittest.mock import Mock

import pytest

from xbench.nn import memory
from xbench.nn.memory import keep_memory_flat, trim_memory

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap of glibc")
# Blocks with something small between them that stays, so that the freed ones leave gaps.
TRIAL = """
import sys
import torch
from xbench.nn.memory import keep_memory_flat, trim_memory

def megabytes():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024

flat, size, count = sys.argv[1] == "flat", int(sys.argv[2]), int(sys.argv[3])
if flat:
    keep_memory_flat()
torch.ones(31 << 18)  # as any training does: glibc then keeps blocks of that size
before = megabytes()
blocks, small = [], []
for _ in range(count):
    blocks.append(torch.ones(size << 8))
    small.append(torch.ones(100 << 8))
full = megabytes() - before
blocks.clear()
freed = megabytes() - before
trim_memory()
print(full, freed, megabytes() - before)
"""


def trial(how: str, kilobytes: int, count: int) -> tuple[float, ...]:
    """Megabytes taken while blocks are held, after they were freed, and after trimming."""
    command = [sys.executable, "-c", TRIAL, how, str(kilobytes), str(count)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=kept)
    return tuple(map(float, done.stdout.split()))


@glibc
def test_large_blocks_leave_no_gaps() -> None:
    taken, kept, _ = trial("as it is", 10 << 10, 16)
    assert taken > 150
    assert kept > 100  # or there is nothing to mend here
    taken, kept, _ = trial("flat", 10 << 10, 16)
    assert taken > 150
    assert kept < 20


@glibc
def test_gaps_of_small_blocks_are_given_back_on_demand() -> None:
    taken, kept, left = trial("flat", 500, 300)
    assert taken > 150
    assert kept > 100
    assert left < 60  # what stays is 100 kB after each of them


@pytest.mark.parametrize(("variable", "calls"), [(None, 2), ("33554432", 0)])
def test_who_sets_the_limit_decides(
    variable: str | None, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Mock()
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    if variable is not None:
        monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", variable)
    keep_memory_flat()
    assert library.mallopt.call_count == calls


def test_other_c_libraries_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    keep_memory_flat()
    trim_memory()
