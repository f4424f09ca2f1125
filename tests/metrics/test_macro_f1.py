"""Macro F1 against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from xbench_plugins.metrics.macro_f1 import MacroF1

LABELS = ("a", "b", "c", "d")
pair = st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS))


def macro_f1(gold: list[str], predicted: list[str]) -> float:
    metric = MacroF1(LABELS)
    sums = metric.items([(g,) for g in gold], [(p,) for p in predicted]).sum(axis=0)
    return float(metric.aggregate(sums))


@settings(deadline=None)
@given(st.lists(pair, min_size=1, max_size=12))
def test_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = ([p[side] for p in pairs] for side in (0, 1))
    expected = f1_score(gold, predicted, average="macro", zero_division=0)
    assert macro_f1(gold, predicted) == pytest.approx(expected, abs=1e-15)


def test_a_class_that_never_occurs_is_left_out_and_one_that_is_never_right_is_zero() -> None:
    gold, predicted = ["a", "a", "b"], ["a", "a", "c"]
    assert macro_f1(gold, predicted) == pytest.approx((1 + 0 + 0) / 3)
    given_labels = f1_score(gold, predicted, labels=LABELS, average="macro", zero_division=0)
    assert given_labels == pytest.approx(1 / 4)


def test_token_level_counts_every_word() -> None:
    gold, predicted = [("a", "b"), ("b", "c", "a")], [("a", "a"), ("b", "c", "c")]
    metric = MacroF1(LABELS)
    value = metric.aggregate(metric.items(gold, predicted).sum(axis=0))
    flat = [list(sum(tags, ())) for tags in (gold, predicted)]
    np.testing.assert_allclose(value, f1_score(*flat, average="macro"), rtol=1e-15)


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown label 'z'; the task has a, b, c, d"):
        macro_f1(["a"], ["z"])
    with pytest.raises(ValueError, match="unknown label 'z'"):
        macro_f1(["z"], ["z"])
