"""Random streams: fixed by their label alone, and distributed as they say."""

import subprocess
import sys
from collections import Counter

import pytest

from xbench_plugins.clones.streams import Draws, digest


def test_the_first_draws_are_those_written_down_here():
    """Guards against a change of generator: every generated corpus would change with it."""
    draws = Draws("a stream")
    assert digest("a stream") == 16197919516133618610
    drawn = [draws.uniform() for _ in range(3)]
    assert drawn == [
        0.2558565899371843,
        0.6596767175666233,
        0.8157882971482661,
    ]


def test_streams_do_not_depend_on_pythons_hash_seed():
    code = "from xbench_plugins.clones.streams import *; print(digest('x'), Draws('x').uniform())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    assert seen == {f"{digest('x')} {Draws('x').uniform()}\n"}


def test_different_labels_give_different_streams():
    one, two = Draws("one"), Draws("two")
    assert [one.uniform() for _ in range(4)] != [two.uniform() for _ in range(4)]


def test_picks_by_rank_follow_zipfs_law():
    draws = Draws("zipf")
    counts = Counter(draws.pick_by_rank("abcd") for _ in range(20_000))
    total = 1 + 1 / 2 + 1 / 3 + 1 / 4
    for rank, item in enumerate("abcd"):
        assert counts[item] / 20_000 == pytest.approx(1 / (rank + 1) / total, abs=0.015)


def test_picks_are_even():
    draws = Draws("even")
    counts = Counter(draws.pick("abcd") for _ in range(20_000))
    assert all(counts[item] / 20_000 == pytest.approx(0.25, abs=0.015) for item in "abcd")
