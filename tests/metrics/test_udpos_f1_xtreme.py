"""Span F1 on UPOS against seqeval, with what is odd about it."""

import subprocess
import sys
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench_plugins.metrics.accuracy import Accuracy
from xbench_plugins.metrics.udpos_f1_xtreme import UdposF1Xtreme
from xbench_tasks.pos import PartOfSpeech

UPOS = PartOfSpeech.labels
Tags = list[str]

pytestmark = pytest.mark.filterwarnings("ignore:.*seems not to be NE tag", "ignore:.*ill-defined")


def seqeval_f1(gold: list[Tags], predicted: list[Tags]) -> float:
    from seqeval.metrics import f1_score

    return float(f1_score(gold, predicted))


def ours(gold: list[Tags], predicted: list[Tags]) -> float:
    metric = UdposF1Xtreme(UPOS)
    value = float(metric.aggregate(metric.items(gold, predicted).sum(axis=0)))
    return 0.0 if np.isnan(value) else value  # seqeval's value without spans


def tagged(tag: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Tags, Tags]]:
    """A sentence of gold tags and predictions, which agree about half of the time."""
    word = st.one_of(tag.map(lambda t: (t, t)), st.tuples(tag, tag))
    return st.lists(word, min_size=1, max_size=8).map(
        lambda pairs: ([g for g, _ in pairs], [p for _, p in pairs])
    )


few = st.sampled_from(["NOUN", "PROPN", "CCONJ", "SCONJ", "SYM", "INTJ", "X"])
sentence = st.one_of(tagged(few), tagged(st.sampled_from(UPOS)))


@settings(deadline=None, max_examples=200)
@given(sentence)
def test_one_sentence_is_seqevals(pair: tuple[Tags, Tags]) -> None:
    gold, predicted = pair
    assert ours([gold], [predicted]) == pytest.approx(seqeval_f1([gold], [predicted]), abs=1e-15)


@settings(deadline=None, max_examples=200)
@given(st.lists(sentence.filter(lambda p: "X" not in (p[0][0], p[1][0])), min_size=1, max_size=6))
def test_a_corpus_is_seqevals_where_no_sentence_begins_with_x(
    pairs: list[tuple[Tags, Tags]],
) -> None:
    gold, predicted = ([p[side] for p in pairs] for side in (0, 1))
    assert ours(gold, predicted) == pytest.approx(seqeval_f1(gold, predicted), abs=1e-15)


def test_seqeval_depends_on_the_order_of_sentences_that_begin_with_x() -> None:
    gold = [["NOUN", "VERB"], ["X", "DET"]]
    predicted = [["NOUN", "NOUN"], ["X", "DET"]]
    turned = [x[::-1] for x in (gold, predicted)]
    assert ours(gold, predicted) == ours(*turned) == pytest.approx(4 / 7)
    assert seqeval_f1(*turned) == pytest.approx(4 / 7)
    assert seqeval_f1(gold, predicted) == pytest.approx(
        2 / 7
    )  # X "begins" at VERB here and at NOUN there


# Every prefix that seqeval knows, and types with hyphens: tags of other treebanks may have them.
letters = st.sampled_from(["B", "I", "E", "S", "O", ".", "N"])
odd = st.builds("{}{}".format, letters, st.sampled_from(["", "-A", "-A-B", "A-B", "A"]))


@settings(deadline=None, max_examples=300)
@given(st.lists(odd, min_size=1, max_size=8), st.randoms())
def test_any_tags_are_counted_as_seqeval_counts_them(gold: Tags, random: Random) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    predicted = [tag if random.random() < 0.7 else "B-A" for tag in gold]
    right, guess = (set(get_entities(tags)) for tags in (gold, predicted))
    counts = UdposF1Xtreme(UPOS).items([gold], [predicted])
    np.testing.assert_array_equal(counts, [(len(right & guess), len(right), len(guess))])


def test_it_is_not_accuracy() -> None:
    gold = ["DET", "NOUN", "NOUN", "VERB", "PROPN", "PROPN", "INTJ", "SCONJ"]
    predicted = [*gold[:5], "NOUN", *gold[6:]]
    assert ours([gold], [predicted]) == pytest.approx(10 / 13)
    accuracy = Accuracy(UPOS)
    assert accuracy.aggregate(accuracy.items([gold], [predicted])[0]) == 7 / 8


@pytest.mark.parametrize(
    ("gold", "predicted", "spans"),
    [
        (["NOUN", "NOUN"], ["NOUN", "NOUN"], [1, 1, 1]),
        (["SCONJ", "SCONJ"], ["SCONJ", "SCONJ"], [2, 2, 2]),
        (["CCONJ"], ["SCONJ"], [1, 1, 1]),
        (["NOUN", "NOUN"], ["NOUN", "VERB"], [0, 1, 2]),
        (["X", "NOUN", "X"], ["X", "NOUN", "X"], [2, 2, 2]),
    ],
    ids=[
        "neighbours-join",
        "but-not-in-S",
        "conjunctions-are-one",
        "half-a-span-is-none",
        "X-at-the-end-is-none",
    ],
)
def test_spans(gold: Tags, predicted: Tags, spans: list[int]) -> None:
    np.testing.assert_array_equal(UdposF1Xtreme(UPOS).items([gold], [predicted]), [spans])


def test_neither_seqeval_nor_sklearn_is_loaded() -> None:
    """They take a second of every worker that scores."""
    code = (
        "import sys; from xbench_plugins.metrics.udpos_f1_xtreme import UdposF1Xtreme; "
        "UdposF1Xtreme(('X',)).items([['X']], [['X']]); "
        "sys.exit('seqeval' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
