"""Groups of similar length: complete, ordered, and of the least cost."""

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from xbench.nn.grouping import length_groups


def cost_of(groups: list[list[int]], lengths: list[int], cost: int) -> int:
    return sum(len(group) * max(lengths[row] for row in group) + cost for group in groups)


def every_way_to_cut(rows: list[int]) -> list[list[list[int]]]:
    ways = []
    for count in range(len(rows)):
        for cuts in combinations(range(1, len(rows)), count):
            edges = [0, *cuts, len(rows)]
            ways.append([rows[a:b] for a, b in pairwise(edges)])
    return ways


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8), st.integers(0, 300))
def test_the_groups_are_the_cheapest_way_to_cut_the_sorted_rows(lengths, cost):
    groups = length_groups(lengths, cost)
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    cheapest = min(cost_of(way, lengths, cost) for way in every_way_to_cut(order))
    assert cost_of(groups, lengths, cost) == cheapest


@given(st.lists(st.integers(1, 500), max_size=64))
def test_every_row_is_in_one_group(lengths):
    groups = length_groups(lengths)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))


def test_equal_lengths_make_one_group_and_an_outlier_gets_its_own():
    assert length_groups([20] * 32) == [list(range(32))]
    assert length_groups([10] * 31 + [120]) == [list(range(31)), [31]]
