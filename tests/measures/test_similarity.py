"""CKA, RSIM, ANC and centroids against definitions over all pairs, scipy and closed forms."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from xbench_plugins.measures.cosines import unit
from xbench_plugins.measures.similarity import (
    SIMILARITIES,
    average_neuron_correlation,
    centroids,
    cka,
    rsim,
    similarities,
)

from .slow import cosines, gram_cka, unbiased_hsic
from .vectors import pair, vectors


@pytest.mark.parametrize(("count", "width"), [(31, 6), (12, 20)])
def test_cka_equals_its_definition_by_inner_products(count: int, width: int) -> None:
    first, second = pair(count, width)
    plain, debiased = cka(first, second)
    assert plain.value == pytest.approx(gram_cka(first, second), abs=1e-9)
    x, y = first.numpy(), second.numpy()
    expected = unbiased_hsic(x, y) / np.sqrt(unbiased_hsic(x, x) * unbiased_hsic(y, y))
    assert debiased.value == pytest.approx(expected, abs=1e-6)


def test_cka_has_a_closed_form_in_one_dimension() -> None:
    # |y'x|^2 / (|x|^2 |y|^2) of centred columns is the squared correlation.
    first, second = pair(50, 1)
    expected = pearsonr(first[:, 0].numpy(), second[:, 0].numpy()).statistic ** 2
    assert cka(first, second)[0].value == pytest.approx(expected, abs=1e-9)


def test_cka_does_not_see_rotation_scale_or_shift() -> None:
    first, _ = pair(80)
    rotation, _ = torch.linalg.qr(vectors(6, 9))
    for found in cka(first, 3 * first @ rotation - 7):
        assert found.value == pytest.approx(1, abs=1e-9)


def test_unrelated_spaces_of_many_dimensions_look_alike_to_the_biased_form_only() -> None:
    plain, debiased = cka(vectors(60, 1, 200), vectors(60, 2, 200))
    assert plain.value > 0.7  # type: ignore[operator]
    assert plain.reason == "60 sentences of 200 dimensions: biased upwards"
    assert debiased.value == pytest.approx(0, abs=0.05)


def test_cka_of_too_few() -> None:
    first, second = pair(3)
    plain, debiased = cka(first, second)
    assert plain.value is not None
    assert debiased.value is None
    assert "needs 4" in debiased.reason
    orthogonal = torch.eye(4, dtype=torch.float64)  # all inner products off the diagonal are equal
    assert cka(orthogonal, orthogonal)[1].value is None


def test_rsim_equals_pearson_over_the_pairs_of_sentences() -> None:
    first, second = pair()
    sides = []
    for side in (first, second):
        around = unit(side) - unit(side).mean(0)
        sides.append(np.array(cosines(around, around))[np.triu_indices(len(side), 1)])
    assert rsim(first, second).value == pytest.approx(pearsonr(*sides).statistic, abs=1e-9)


def test_rsim_where_it_is_undefined() -> None:
    first, second = pair(2)
    assert rsim(first, second).value is None
    corners = torch.eye(5, dtype=torch.float64)
    assert "all equal" in rsim(corners, corners).reason
    parallel = torch.arange(1.0, 6.0)[:, None] * torch.ones(5, 5)
    assert "length only" in rsim(parallel, corners).reason


def test_anc_equals_scipy_neuron_by_neuron() -> None:
    first, second = pair()
    expected = [abs(pearsonr(u, v).statistic) for u, v in zip(first.T, second.T, strict=True)]
    assert average_neuron_correlation(first, second).value == pytest.approx(np.mean(expected))
    second[:, 2] = 5.0
    found = average_neuron_correlation(first, second)
    assert found.value == pytest.approx(np.mean(np.delete(expected, 2)))
    assert found.reason == "1 of 6 dimensions are constant"
    assert average_neuron_correlation(first[:2], second[:2]).value is None


def test_centroids_of_shifted_clones() -> None:
    first, _ = pair(40)
    step = torch.tensor([3.0, 4.0, 0, 0, 0, 0], dtype=torch.float64)
    spread = float((first - first.mean(0)).square().sum(1).mean().sqrt())
    distance, gap = centroids(first, first + step)
    assert distance.value == pytest.approx(5)
    assert gap.value == pytest.approx(5 / spread)
    assert centroids(first, first)[1].value == 0


def test_clones_are_the_same_by_all_of_them() -> None:
    first, _ = pair(70)
    found = {name: one.value for name, one in similarities(first, first.clone()).items()}
    same = dict.fromkeys(("cka", "cka_debiased", "rsim", "anc"), 1.0)
    assert found == pytest.approx(same | dict.fromkeys(("centroid_distance", "centroid_gap"), 0.0))
    assert tuple(found) == SIMILARITIES
