"""Mean and normalised cosines against loops over all pairs."""

import numpy as np
import pytest
import torch

from xbench_plugins.measures.cosines import anisotropy, mean_cosine, normalised_cosines

from .slow import cosines
from .vectors import vectors


@pytest.mark.parametrize("shift", [0.0, 0.4, 30.0])
def test_normalised_cosines_equal_loops_over_all_non_pairs(shift: float) -> None:
    first = vectors(19, 1) + shift
    second = first + 0.6 * vectors(19, 2) + shift
    table = np.array(cosines(first, second))
    own = np.diag(table)
    others = table[~np.eye(len(table), dtype=bool)]
    found = normalised_cosines(first, second)
    expected = {
        "random_cosine": others.mean(),
        "random_cosine_sd": others.std(),
        "cosine_difference": own.mean() - others.mean(),
        "cosine_ratio": own.mean() / others.mean(),
        "cosine_z": (own.mean() - others.mean()) / others.std(),
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, rel=1e-6)
    items = found["cosine_difference"].items
    assert items is not None
    assert float(items.mean()) == pytest.approx(expected["cosine_difference"])
    assert mean_cosine(first, second).value == pytest.approx(own.mean(), abs=1e-12)


def test_equal_vectors_have_a_cosine_of_exactly_one() -> None:
    same = vectors(50, 3).float()
    assert mean_cosine(same, same.clone()).value == 1.0


def test_a_ratio_to_what_is_not_positive_is_undefined() -> None:
    first = torch.eye(4, dtype=torch.float64) - 0.25  # any two are at an obtuse angle
    found = normalised_cosines(first, first)
    assert found["random_cosine"].value == pytest.approx(-1 / 3)
    assert found["cosine_ratio"].value is None
    assert found["cosine_z"].value is None  # they are all at the same angle
    assert "do not vary" in found["cosine_z"].reason
    assert found["cosine_difference"].value == pytest.approx(4 / 3)


def test_anisotropy_is_the_mean_cosine_of_different_vectors() -> None:
    cloud = vectors(23, 5) + 0.7
    table = np.array(cosines(cloud, cloud))
    expected = table[~np.eye(len(table), dtype=bool)].mean()
    assert anisotropy(cloud).value == pytest.approx(expected, abs=1e-9)
