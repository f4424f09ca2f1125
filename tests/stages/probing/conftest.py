"""Probes that are installed for these tests, and a checkpoint that they see."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xbench.store import Store

from ...command import compute
from .asking import PROBES, Seen, asked, see

Install = Callable[..., Path]


@pytest.fixture(autouse=True)
def probes(install: Install) -> None:
    names = {"look": "looks:Look", "steep": "looks:Steep", "broken": "looks:Broken"}
    install("looks", {"probes": names}, {"looks.py": PROBES})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def seen(store: Store) -> Seen:
    """The untouched encoder."""
    return see(compute(asked("steep", arm=["none"]), store), store)
