"""Argmax and IterMax against slow loops over plain lists, and what they do at the edges."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xbench.api import WordPair
from xbench_plugins.aligners.argmax import Argmax
from xbench_plugins.aligners.itermax import IterMax
from xbench_plugins.aligners.similarity import mutual_best

from .pairs import Links, as_lists, cosine, pair_of, random_pair, side

Scores = list[list[float]]
UNITS = ("subword", "word")


def slow_scores(
    source: Sequence[Sequence[float]], target: Sequence[Sequence[float]], distortion: float
) -> Scores:
    n, m = len(source), len(target)
    scores = [[(cosine(x, y) + 1) / 2 for y in target] for x in source]
    if n > 1 and m > 1:
        for i in range(n):
            for j in range(m):
                scores[i][j] *= 1 - distortion * (i / (n - 1) - j / (m - 1)) ** 2
    return scores


def slow_mutual(scores: Scores) -> set[tuple[int, int]]:
    n, m = len(scores), len(scores[0])
    links = set()
    for i in range(n):
        for j in range(m):
            wins_row = all(
                scores[i][j] > scores[i][k] or (scores[i][j] == scores[i][k] and j <= k)
                for k in range(m)
            )
            wins_column = all(
                scores[i][j] > scores[k][j] or (scores[i][j] == scores[k][j] and i <= k)
                for k in range(n)
            )
            if wins_row and wins_column:
                links.add((i, j))
    return links


def slow_itermax(scores: Scores, rounds: int, discount: float) -> set[tuple[int, int]]:
    n, m = len(scores), len(scores[0])
    links = slow_mutual(scores)
    if min(n, m) <= 2:
        return links
    for _ in range(rounds - 1):
        rows, columns = {i for i, _ in links}, {j for _, j in links}
        if len(rows) == n or len(columns) == m:
            break
        weighted = [[0.0] * m for _ in range(n)]
        for i in range(n):
            for j in range(m):
                taken = (i in rows) + (j in columns)
                weighted[i][j] = scores[i][j] * (1.0, discount, 0.0)[taken]
        new = {(i, j) for i, j in slow_mutual(weighted) if weighted[i][j] > 0}
        if not new:
            break
        links |= new
    return links


def expected(pair: WordPair, unit: str, distortion: float, rounds: int, discount: float) -> Links:
    (source, of_source), (target, of_target) = (
        as_lists(pair.source, unit),
        as_lists(pair.target, unit),
    )
    links = slow_itermax(slow_scores(source, target, distortion), rounds, discount)
    return sorted({(of_source[i], of_target[j]) for i, j in links})


@pytest.mark.parametrize("distortion", [0.0, 0.5])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("seed", range(8))
def test_argmax_is_the_slow_loop(seed: int, unit: str, distortion: float) -> None:
    pair = random_pair(seed)
    aligner = Argmax(Argmax.Config(unit=unit, distortion=distortion))
    assert aligner.align(pair) == expected(pair, unit, distortion, 1, 0.9)


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("discount", [0.9, 0.3, 0.0])
@pytest.mark.parametrize("size", [(8, 11), (3, 6), (2, 9)])
@pytest.mark.parametrize("seed", range(8))
def test_itermax_is_the_slow_loop(
    seed: int, size: tuple[int, int], discount: float, rounds: int
) -> None:
    pair = random_pair(seed, *size, words=9)
    aligner = IterMax(IterMax.Config(rounds=rounds, discount=discount))
    assert aligner.align(pair) == expected(pair, "subword", 0.0, rounds, discount)


def test_itermax_adds_links_and_argmax_is_its_first_round() -> None:
    added = 0
    for seed in range(20):
        pair = random_pair(seed, n=8, m=11, words=11)
        first, more = set(Argmax().align(pair)), set(IterMax().align(pair))
        assert first <= more
        assert set(IterMax(IterMax.Config(rounds=1)).align(pair)) == first
        added += len(more - first)
    assert added > 20


@pytest.mark.parametrize(
    ("discount", "links"), [(0.9, {(0, 0), (0, 1), (1, 0)}), (0.5, {(0, 0), (1, 2)})]
)
def test_itermax_by_hand(
    discount: float, links: set[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Row 0 and column 0 win the first round. In the second, 0.8 in their row and column stands
    # against an undiscounted 0.7.
    scores = [[0.9, 0.8, 0.1], [0.8, 0.5, 0.7], [0.2, 0.1, 0.1]]
    fixed = torch.tensor(scores, dtype=torch.float64)
    monkeypatch.setattr("xbench_plugins.aligners.itermax.similarities", lambda *_: fixed)
    found = IterMax(IterMax.Config(discount=discount)).linked(fixed, fixed).nonzero().tolist()
    assert {(i, j) for i, j in found} == links
    assert slow_itermax(scores, 2, discount) == links
    assert mutual_best(fixed).nonzero().tolist() == [[0, 0]]


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_of_equal_scores_the_first_counts(n: int, m: int, data: st.DataObject) -> None:
    few = st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=m, max_size=m)
    scores = data.draw(st.lists(few, min_size=n, max_size=n))
    found = mutual_best(torch.tensor(scores, dtype=torch.float64)).nonzero().tolist()
    assert {(i, j) for i, j in found} == slow_mutual(scores)


@pytest.mark.parametrize("aligner", [Argmax(), IterMax()])
def test_equal_states_everywhere_link_the_first_words_only(aligner: Argmax | IterMax) -> None:
    same = torch.full((5, 3), 0.3)
    pair = pair_of(side(same), side(same[:4]))
    links = aligner.align(pair)
    assert links[0] == (0, 0)
    assert (len(links) == 1) == isinstance(aligner, Argmax)
    assert links == aligner.align(pair)


def test_states_of_one_direction_tie_whatever_their_length() -> None:
    # Their cosines are equal, but for the last bits.
    chance = torch.Generator().manual_seed(3)
    lengths = 1 + 9 * torch.rand(41, 1, generator=chance, dtype=torch.float64)
    states = lengths * torch.randn(1, 129, generator=chance, dtype=torch.float64)
    pair = pair_of(side(states[:20]), side(states[20:]))
    assert Argmax().align(pair) == [(0, 0)]


def test_a_permuted_sentence_has_permuted_links() -> None:
    chance = torch.Generator().manual_seed(0)
    source = torch.randn(6, 5, generator=chance)
    target = torch.randn(8, 5, generator=chance)
    order = torch.randperm(6, generator=chance)
    for aligner in (Argmax(), IterMax()):
        plain = aligner.align(pair_of(side(source), side(target)))
        moved = aligner.align(pair_of(side(source[order]), side(target)))
        assert plain == sorted((int(order[i]), j) for i, j in moved)


def test_translations_are_found() -> None:
    meaning = torch.eye(5)
    order = [3, 0, 4, 1, 2]
    pair = pair_of(side(meaning), side(meaning[order] + 0.1))
    assert Argmax().align(pair) == sorted((word, place) for place, word in enumerate(order))


def test_one_word_on_each_side_is_linked_whatever_its_state() -> None:
    pair = pair_of(side(torch.tensor([[1.0, 0.0]])), side(torch.tensor([[-1.0, 0.0]])))
    assert Argmax().align(pair) == IterMax().align(pair) == [(0, 0)]


def test_a_subword_links_its_word() -> None:
    states = torch.eye(4)
    source = side(states, [0, 0, 1, 2])
    target = side(states, [0, 1, 1, 1])
    assert Argmax().align(pair_of(source, target)) == [(0, 0), (0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize("aligner", [Argmax, IterMax])
def test_settings_out_of_range_are_refused(aligner: type[Argmax]) -> None:
    for wrong in ({"depth": 1.5}, {"distortion": -1}, {"unit": "piece"}, {"layer": 8}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            aligner.Config(**wrong)
