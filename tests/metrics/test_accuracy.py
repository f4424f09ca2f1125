"""Accuracy counts labels, not items."""

import numpy as np

from xbench_plugins.metrics.accuracy import Accuracy


def test_every_word_counts_once() -> None:
    metric = Accuracy(("A", "B"))
    gold = [("A", "B", "A"), ("B",)]
    predicted = [("A", "A", "A"), ("B",)]
    sums = metric.items(gold, predicted)
    np.testing.assert_array_equal(sums, [[2, 3], [1, 1]])
    assert metric.aggregate(sums.sum(axis=0)) == 3 / 4  # not the mean of 2/3 and 1


def test_sentence_level_has_one_label_per_item() -> None:
    metric = Accuracy(("sports", "health", "travel"))
    sums = metric.items([("sports",), ("health",)], [("sports",), ("travel",)])
    assert metric.aggregate(sums.sum(axis=0)) == 0.5
