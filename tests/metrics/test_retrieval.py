"""Retrieval metrics: which direction is whose, against XTREME's own procedure written out."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.spatial.distance import cdist

from xbench.api.metric import Metric
from xbench.api.search import nearest
from xbench_plugins.metrics.retrieval import (
    RetrievalAccuracy,
    RetrievalBackward,
    RetrievalForward,
    TatoebaAccuracyXtreme,
    TatoebaAccuracyXxToEn,
)

Floats = npt.NDArray[np.float64]


def found(english_ND: Floats, other_ND: Floats) -> tuple[list[list[str]], list[list[str]]]:
    """(gold, predicted) as a retrieval stage writes them, English being the source language."""
    sides = [torch.from_numpy(side) for side in (english_ND, other_ND)]
    (_, forward), (_, backward) = (nearest(*both) for both in (sides, sides[::-1]))
    numbers = range(len(english_ND))
    gold = [[str(n), str(n)] for n in numbers]
    return gold, [[str(int(forward[n])), str(int(backward[n]))] for n in numbers]


def value(metric: Metric, gold: list[list[str]], predicted: list[list[str]]) -> float:
    return float(metric.aggregate(metric.items(gold, predicted).sum(axis=0)))


def similarity_search(x_ND: Floats, y_ND: Floats) -> list[int]:
    """XTREME's, written anew: unit vectors, x the index, y the queries, the least squared distance."""
    x_ND, y_ND = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x_ND, y_ND))
    places: list[int] = cdist(y_ND, x_ND, "sqeuclidean").argmin(1).tolist()
    return places


def hub_on_one_side() -> tuple[Floats, Floats]:
    """English sentences, and noisy translations of which three lie near everything."""
    stream = np.random.default_rng(3)
    english_ND = stream.standard_normal((60, 8))
    other_ND = english_ND + 0.9 * stream.standard_normal((60, 8))
    other_ND[:3] = english_ND.mean(0) + 0.01 * stream.standard_normal((3, 8))
    return 3 * english_ND, other_ND * stream.uniform(0.1, 9, (60, 1))  # lengths play no part


def test_xtremes_direction_is_english_queries_among_the_others() -> None:
    english_ND, other_ND = hub_on_one_side()
    gold, predicted = found(english_ND, other_ND)
    xtreme = similarity_search(x_ND=other_ND, y_ND=english_ND)  # x is --src_language, the other
    reverse = similarity_search(x_ND=english_ND, y_ND=other_ND)
    expected, other = (
        sum(place == n for n, place in enumerate(places)) / 60 for places in (xtreme, reverse)
    )
    assert abs(expected - other) > 0.02, "both directions score the same: that is no test"
    assert value(TatoebaAccuracyXtreme(()), gold, predicted) == pytest.approx(expected)
    assert value(TatoebaAccuracyXxToEn(()), gold, predicted) == pytest.approx(other)
    assert value(RetrievalForward(()), gold, predicted) == pytest.approx(expected)
    assert value(RetrievalBackward(()), gold, predicted) == pytest.approx(other)
    mean = (expected + other) / 2
    assert value(RetrievalAccuracy(()), gold, predicted) == pytest.approx(mean)


def test_one_sentence_and_none() -> None:
    metric = TatoebaAccuracyXtreme(())
    assert value(metric, [["0", "0"]], [["0", "1"]]) == 1.0
    assert np.isnan(value(metric, [], []))
