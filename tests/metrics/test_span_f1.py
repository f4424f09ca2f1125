"""Span F1 on IOB2 tags against seqeval, at sequences that are invalid too."""

import warnings
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench_plugins.metrics.span_f1 import SpanF1, spans
from xbench_tasks.ner import NamedEntities

Tags = list[str]
Corpus = list[tuple[Tags, Tags]]

METRIC = SpanF1(NamedEntities.labels)

tag = st.sampled_from(NamedEntities.labels)
word = st.one_of(tag.map(lambda t: (t, t)), st.tuples(tag, tag))  # right about half of the time
sentence = st.lists(word, min_size=1, max_size=9).map(
    lambda pairs: ([g for g, _ in pairs], [p for _, p in pairs])
)
corpora = st.lists(sentence, min_size=1, max_size=6)


def value(corpus: Corpus) -> float:
    items = METRIC.items([gold for gold, _ in corpus], [predicted for _, predicted in corpus])
    return float(METRIC.aggregate(items.sum(axis=0)))


def seqeval_f1(corpus: Corpus) -> float:
    from seqeval.metrics import f1_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing to find is undefined, and seqeval says so
        return float(f1_score([gold for gold, _ in corpus], [found for _, found in corpus]))


@settings(deadline=None, max_examples=300)
@given(corpora)
def test_a_corpus_is_seqevals(corpus: Corpus) -> None:
    ours = value(corpus)
    assert (0.0 if np.isnan(ours) else ours) == pytest.approx(seqeval_f1(corpus), abs=1e-15)


@settings(deadline=None, max_examples=300)
@given(st.lists(tag, min_size=1, max_size=12))
def test_the_spans_are_seqevals(tags: Tags) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    # seqeval names the last word, we the one after it.
    assert spans(tags) == {(kind, first, last + 1) for kind, first, last in get_entities(tags)}


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O B-PER I-PER O", {("PER", 1, 3)}),
        ("B-PER B-PER", {("PER", 0, 1), ("PER", 1, 2)}),
        ("I-LOC I-LOC O", {("LOC", 0, 2)}),
        ("B-LOC I-ORG I-ORG", {("LOC", 0, 1), ("ORG", 1, 3)}),
        ("O I-PER B-PER I-PER", {("PER", 1, 2), ("PER", 2, 4)}),
        ("O O", set()),
    ],
    ids=["a-span", "neighbours", "I-begins", "I-of-another-type", "I-before-B", "none"],
)
def test_spans(tags: str, found: set[tuple[str, int, int]]) -> None:
    assert spans(tags.split()) == found


def test_half_a_span_is_none() -> None:
    gold = ["B-PER", "I-PER", "O", "B-LOC"]
    predicted = ["B-PER", "O", "O", "B-LOC"]
    np.testing.assert_array_equal(METRIC.items([gold], [predicted]), [[1, 2, 2]])
    assert value([(gold, predicted)]) == 0.5


def test_the_right_words_with_the_wrong_type_are_wrong() -> None:
    assert value([(["B-PER", "I-PER"], ["B-LOC", "I-LOC"])]) == 0.0


@given(corpora, st.randoms())
def test_neither_order_nor_neighbours_matter(corpus: Corpus, random: Random) -> None:
    together = METRIC.items([gold for gold, _ in corpus], [found for _, found in corpus])
    alone = np.concatenate([METRIC.items([gold], [found]) for gold, found in corpus])
    np.testing.assert_array_equal(together, alone)
    shuffled = list(corpus)
    random.shuffle(shuffled)
    np.testing.assert_equal(value(shuffled), value(corpus))


@given(corpora, st.integers(0, 9))
def test_a_bootstrap_is_one_call(corpus: Corpus, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(len(corpus), size=(2, 3, len(corpus)))
    items = METRIC.items([gold for gold, _ in corpus], [found for _, found in corpus])
    values = METRIC.aggregate(items[drawn].sum(axis=-2))
    one_by_one = [[value([corpus[i] for i in ids]) for ids in row] for row in drawn]
    np.testing.assert_array_equal(values, one_by_one)


def test_no_span_is_undefined_and_without_warning() -> None:
    with np.errstate(all="raise"):
        assert np.isnan(value([(["O", "O"], ["O", "O"])]))
        assert np.isnan(METRIC.aggregate(METRIC.items([], []).sum(axis=0)))


@pytest.mark.parametrize("tag", ["PER", "B-", "S-PER", "-PER", ""])
def test_other_tags_are_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="IOB2"):
        METRIC.items([["O"]], [[tag]])
