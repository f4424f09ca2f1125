"""Links whose words have no other link."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from xbench_plugins.losses.word_links import one_to_one

links = st.lists(st.tuples(*[st.integers(0, 3)] * 3), max_size=12, unique=True)


@given(links)
def test_is_the_slow_filter(links: list[tuple[int, int, int]]) -> None:
    first = Counter((row, s) for row, s, _ in links)
    second = Counter((row, t) for row, _, t in links)
    expected = [(r, s, t) for r, s, t in links if first[r, s] == second[r, t] == 1]
    found = one_to_one(torch.tensor(links, dtype=torch.int64).view(-1, 3))
    assert found.shape[1] == 3
    assert list(map(tuple, found.tolist())) == expected
