"""The word contrast: bags, sampling outside them, and the loss against a slow loop."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xbench_plugins.losses.word_bag import (
    Words,
    bag_of_words,
    compact,
    sample_outside,
    word_bag_loss,
)


def words(rows: list[list[int]]) -> Words:
    """Ragged rows -> padded ids and mask."""
    width = max(1, *map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, values in enumerate(rows):
        ids[row, : len(values)] = torch.tensor(values, dtype=torch.int64)
        mask[row, : len(values)] = True
    return Words(ids, mask)


def rows(some: Words) -> list[list[int]]:
    return [ids[mask].tolist() for ids, mask in zip(*some, strict=True)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


ragged = st.lists(st.lists(st.integers(0, 30), max_size=8), min_size=1, max_size=5)


@given(ragged)
def test_bag_keeps_each_word_once_or_with_its_multiplicity(texts: list[list[int]]) -> None:
    given_words = words(texts)
    assert rows(bag_of_words(*given_words, distinct=True)) == [sorted(set(t)) for t in texts]
    assert rows(bag_of_words(*given_words, distinct=False)) == [sorted(t) for t in texts]


@settings(deadline=None)
@given(
    texts=ragged,
    excluded=st.sets(st.integers(0, 30), max_size=5),
    # the first sizes go through ranking, the last through rejection
    size=st.sampled_from([31, 60, 1000]),
    wanted=st.sampled_from([1, 7, 40]),
    seed=st.integers(0, 5),
)
def test_sample_is_distinct_outside_the_bag_and_complete(
    texts: list[list[int]], excluded: set[int], size: int, wanted: int, seed: int
) -> None:
    bag = bag_of_words(*words(texts), distinct=True)
    sample = sample_outside(bag, tuple(excluded), size, wanted, generator(seed))
    for text, drawn in zip(texts, rows(sample), strict=True):
        allowed = set(range(size)) - set(text) - excluded
        assert len(drawn) == min(wanted, len(allowed))
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= allowed


@pytest.mark.parametrize(("size", "wanted"), [(50, 20), (400, 20)], ids=["ranking", "rejection"])
def test_every_allowed_word_is_equally_likely(size: int, wanted: int) -> None:
    texts, excluded = [[5, 6, 7, 40], [9]] * 400, (0, 1, 2)
    bag = words(texts)
    sample = sample_outside(bag, excluded, size, wanted, generator())
    for start in (0, 1):
        drawn = torch.cat(
            [
                ids[mask]
                for ids, mask in zip(sample.ids[start::2], sample.mask[start::2], strict=True)
            ]
        )
        counts = torch.bincount(drawn, minlength=size).double()
        allowed = torch.ones(size, dtype=torch.bool)
        allowed[[*excluded, *texts[start]]] = False
        expected = 400 * wanted / int(allowed.sum())
        # chi-square of a sample without replacement, about normal at this many classes
        freedom = int(allowed.sum()) - 1
        share = wanted / int(allowed.sum())
        statistic = float(((counts[allowed] - expected) ** 2 / expected).sum()) / (1 - share)
        assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)
        assert int(counts[~allowed].sum()) == 0


@pytest.mark.parametrize(("size", "wanted"), [(50, 20), (400, 20)], ids=["ranking", "rejection"])
def test_sample_depends_on_the_generator_alone_and_differs_between_pairs(
    size: int, wanted: int
) -> None:
    bag = words([[5, 6], [5, 6]])
    torch.manual_seed(98)
    first = sample_outside(bag, (0,), size, wanted, generator(1))
    torch.manual_seed(99)
    again = sample_outside(bag, (0,), size, wanted, generator(1))
    assert torch.equal(first.ids, again.ids)
    assert set(rows(first)[0]) != set(rows(first)[1])
    other = sample_outside(bag, (0,), size, wanted, generator(2))
    assert not torch.equal(first.ids, other.ids)


def slow_loss(
    query: Tensor, table: Tensor, bags: list[list[int]], wrong: list[list[int]], scale: float
) -> float:
    """Cosine similarity divided by the temperature, word by word."""
    total = 0.0
    for q, bag, negatives in zip(query, bags, wrong, strict=True):

        def weight(word: int, q: Tensor = q) -> float:
            cosine = float((q * table[word]).sum() / (q.norm() * table[word].norm()))
            return math.exp(cosine / scale)

        rest = sum(map(weight, negatives))
        if bag:
            total -= sum(math.log(weight(t) / (weight(t) + rest)) for t in bag) / len(bag)
    return total


def example() -> tuple[Tensor, Tensor, list[list[int]], list[list[int]]]:
    torch.manual_seed(3)
    query = torch.randn(4, 6, dtype=torch.float64)
    table = torch.randn(25, 6, dtype=torch.float64)
    return query, table, [[3, 3, 8], [4], [], [7, 9, 11, 12]], [[1, 2], [5, 6, 7], [8], [0]]


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_loss_is_the_slow_loop(temperature: float) -> None:
    query, table, bags, wrong = example()
    total, count = word_bag_loss(query, table, words(bags), words(wrong), temperature)
    assert count == 4
    assert float(total) == pytest.approx(
        slow_loss(query, table, bags, wrong, temperature), rel=1e-12
    )


def test_looking_up_only_the_words_in_use_changes_nothing() -> None:
    query, table, bags, wrong = example()
    used, positives, negatives = compact(words(bags), words(wrong))
    whole, _ = word_bag_loss(query, table, words(bags), words(wrong), 0.1, "dot")
    part, _ = word_bag_loss(query, table[used], positives, negatives, 0.1, "dot")
    torch.testing.assert_close(part, whole, rtol=1e-14, atol=0)
    assert len(used) == len(set(used.tolist())) < len(table)


def test_dot_product_of_an_orthogonal_query_is_the_uniform_guess() -> None:
    query = torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    table = torch.tensor([[1.0, 0.0]] * 6, dtype=torch.float64)
    total, _ = word_bag_loss(query, table, words([[0, 1]]), words([[2, 3, 4, 5]]), 0.1, "dot")
    assert float(total) == pytest.approx(math.log(5), rel=1e-12)


def test_a_very_wrong_word_keeps_full_precision() -> None:
    query = torch.tensor([[1.0]], dtype=torch.float64)
    table = torch.tensor([[0.0], [21.0]], dtype=torch.float64)
    total, _ = word_bag_loss(query, table, words([[0]]), words([[1]]), 1.0, "dot")
    assert float(total) == pytest.approx(21 + math.log1p(math.exp(-21)), rel=1e-14)


def test_gradient_with_empty_bags_and_without_negatives() -> None:
    query, table, bags, wrong = example()
    wrong[1] = []
    arguments = (query.requires_grad_(), table.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda q, e: word_bag_loss(q, e, words(bags), words(wrong), 0.5)[0], arguments
    )
    total, _ = word_bag_loss(*arguments, words([[]] * 4), words([[]] * 4), 0.5)
    total.backward()
    assert total.item() == 0.0
    assert not query.grad.any()
    assert not table.grad.any()
