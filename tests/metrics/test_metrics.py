"""What every metric promises: additive items, bootstraps in one call, clear errors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.api.metric import Metric
from xbench_plugins.metrics.accuracy import Accuracy
from xbench_plugins.metrics.macro_f1 import MacroF1
from xbench_plugins.metrics.udpos_f1_xtreme import UdposF1Xtreme

LABELS = ("NOUN", "VERB", "CCONJ", "SCONJ", "X")
METRICS = [Accuracy, MacroF1, UdposF1Xtreme]

Item = tuple[tuple[str, ...], tuple[str, ...]]
tag = st.sampled_from(LABELS)
item: st.SearchStrategy[Item] = st.lists(st.tuples(tag, tag), max_size=6).map(
    lambda pairs: (tuple(g for g, _ in pairs), tuple(p for _, p in pairs))
)
corpus = st.lists(item, min_size=1, max_size=6)


def items(metric: Metric, corpus: list[Item]) -> Any:
    return metric.items([gold for gold, _ in corpus], [predicted for _, predicted in corpus])


def value(metric: Metric, corpus: list[Item]) -> float:
    return float(metric.aggregate(items(metric, corpus).sum(axis=0)))


@pytest.mark.parametrize("kind", METRICS)
@given(corpus=corpus)
def test_an_item_does_not_depend_on_its_neighbours(kind: type[Metric], corpus: list[Item]) -> None:
    metric = kind(LABELS)
    together = items(metric, corpus)
    assert together.dtype == np.float64
    assert together.ndim == 2
    alone = np.concatenate([items(metric, [one]) for one in corpus])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("kind", METRICS)
@settings(deadline=None)
@given(corpus=corpus, seed=st.integers(0, 9))
def test_a_bootstrap_is_one_call(kind: type[Metric], corpus: list[Item], seed: int) -> None:
    """Values of resampled sums are the values of the resampled corpora, in any shape."""
    metric = kind(LABELS)
    drawn = np.random.default_rng(seed).integers(len(corpus), size=(2, 3, len(corpus)))
    sums = items(metric, corpus)[drawn].sum(axis=-2)
    values = metric.aggregate(sums)
    assert values.shape == (2, 3)
    one_by_one = [[value(metric, [corpus[i] for i in ids]) for ids in row] for row in drawn]
    np.testing.assert_array_equal(values, one_by_one)
    np.testing.assert_array_equal(metric.aggregate(sums[0]), values[0])


@pytest.mark.parametrize("kind", METRICS)
def test_all_right_is_one_and_all_wrong_is_zero(kind: type[Metric]) -> None:
    gold = ("NOUN", "VERB", "CCONJ")
    assert value(kind(LABELS), [(gold, gold)]) == 1.0
    assert value(kind(LABELS), [(gold, ("VERB", "NOUN", "X"))]) == 0.0


@pytest.mark.parametrize("kind", METRICS)
def test_no_labels_is_undefined_and_without_warning(kind: type[Metric]) -> None:
    metric = kind(LABELS)
    nothing = metric.items([], [])
    assert nothing.shape[0] == 0
    with np.errstate(all="raise"):
        assert np.isnan(metric.aggregate(nothing.sum(axis=0)))
        assert np.isnan(value(metric, [((), ())]))
        mixed = metric.aggregate(
            np.stack([nothing.sum(axis=0), items(metric, [(("VERB",), ("VERB",))])[0]])
        )
    np.testing.assert_array_equal(mixed, [np.nan, 1.0])


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([("X",)], [], "1 gold items but 0 predicted"),
        ([("X",), ("X", "X")], [("X",), ("X",)], "item 1 has 2 gold labels but 1 predicted"),
        (["NOUN"], [("NOUN",)], "item 0 is a bare string"),
    ],
)
def test_what_does_not_match_up_is_refused(
    kind: type[Metric], gold: Any, predicted: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(LABELS).items(gold, predicted)
