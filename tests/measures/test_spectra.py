"""Eigenvector similarity against the Laplacian of the whole graph."""

import numpy as np
import pytest
import torch

from xbench_plugins.measures.spectra import eigenvector_similarity, neighbours, spectrum

from .slow import cosines
from .vectors import pair, vectors


def whole_spectrum(vectors_of: torch.Tensor) -> np.ndarray:
    """Eigenvalues, largest first, of the N x N Laplacian of the nearest-neighbour graph."""
    table = np.array(cosines(vectors_of, vectors_of))
    np.fill_diagonal(table, -2)
    linked = np.zeros_like(table)
    for i, j in enumerate(table.argmax(1)):
        linked[i, j] = linked[j, i] = 1
    return np.linalg.eigvalsh(np.diag(linked.sum(1)) - linked)[::-1]


def cut(values: np.ndarray) -> int:
    k = 1
    while values[:k].sum() < 0.9 * values.sum() - 1e-9:
        k += 1
    return k


@pytest.mark.parametrize("budget", [700 * 8, 10**6])
def test_it_equals_the_whole_graphs(budget: int) -> None:
    first, second = pair(60)
    a, b = whole_spectrum(first), whole_spectrum(second)
    np.testing.assert_allclose(spectrum(neighbours(first, budget)), a, atol=1e-9)
    k = min(cut(a), cut(b))
    expected = ((a[:k] - b[:k]) ** 2).sum()
    assert expected > 0
    found = eigenvector_similarity(first, second, budget)
    assert found.value == pytest.approx(expected, abs=1e-6)


def test_clones_have_the_same_shape_and_rotations_too() -> None:
    first = vectors(80, 1)
    rotation, _ = torch.linalg.qr(vectors(6, 9))
    assert eigenvector_similarity(first, 2 * first @ rotation).value == pytest.approx(0, abs=1e-9)


def test_the_spectrum_of_a_star() -> None:
    star = spectrum(np.array([1, 0, 0, 0, 0]))  # all are linked to the first: n, then ones, then 0
    np.testing.assert_allclose(star, [5, 1, 1, 1, 0], atol=1e-12)


def test_a_graph_in_one_large_part_is_not_made_a_matrix_beyond_the_budget() -> None:
    with pytest.raises(MemoryError, match="100 sentences are one part"):
        spectrum(np.array([1, *[0] * 99]), budget=8 * 99**2)
    hub = vectors(100, 1) * 0.1
    hub[:, 0] = 0.0
    hub += torch.tensor([1.0, 0, 0, 0, 0, 0])
    hub[0] = torch.tensor([1.0, 0, 0, 0, 0, 0])
    found = eigenvector_similarity(hub, hub, 100)
    assert found.value is None
    assert "one part of a graph" in found.reason
