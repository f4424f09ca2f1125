"""The softmax aligner against a slow loop, and its threshold."""

import math

import pytest
import torch

from xbench_plugins.aligners.softmax import Softmax

from .pairs import as_lists, dot, pair_of, random_pair, side


def slow(pair: object, unit: str, threshold: float) -> list[tuple[int, int]]:
    source, of_source = as_lists(pair.source, unit)  # type: ignore[attr-defined]
    target, of_target = as_lists(pair.target, unit)  # type: ignore[attr-defined]
    scores = [[math.exp(dot(x, y)) for y in target] for x in source]
    links = set()
    for i, row in enumerate(scores):
        for j, score in enumerate(row):
            forth = score / sum(row)
            back = score / sum(other[j] for other in scores)
            if forth > threshold and back > threshold:
                links.add((of_source[i], of_target[j]))
    return sorted(links)


@pytest.mark.parametrize("threshold", [0.0, 0.001, 0.1, 0.5])
@pytest.mark.parametrize("unit", ["subword", "word"])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_slow_loop(seed: int, unit: str, threshold: float) -> None:
    pair = random_pair(seed)
    aligner = Softmax(Softmax.Config(unit=unit, threshold=threshold))
    assert aligner.align(pair) == slow(pair, unit, threshold)


def test_large_states_do_not_overflow() -> None:
    states = 1000 * torch.eye(3)
    assert Softmax().align(pair_of(side(states), side(states))) == [(0, 0), (1, 1), (2, 2)]


def test_equal_states_link_everything_as_long_as_the_sentences_are_short() -> None:
    same = torch.ones(20, 3)
    pair = pair_of(side(same[:4]), side(same[:5]))
    assert len(Softmax().align(pair)) == 20
    long = pair_of(side(same), side(same[:5]))
    assert Softmax(Softmax.Config(threshold=0.06)).align(long) == []


def test_a_permuted_sentence_has_permuted_links() -> None:
    chance = torch.Generator().manual_seed(0)
    source, target = torch.randn(6, 5, generator=chance), torch.randn(8, 5, generator=chance)
    order = torch.randperm(8, generator=chance)
    plain = Softmax().align(pair_of(side(source), side(target)))
    moved = Softmax().align(pair_of(side(source), side(target[order])))
    assert plain == sorted((i, int(order[j])) for i, j in moved)
    assert 0 < len(plain) < 48
