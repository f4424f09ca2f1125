"""IsoScore against its package and its published steps, the partition ratio against sums."""

import math

import numpy as np
import pytest
import torch

from xbench_plugins.measures.isotropy import isoscore, partition_ratio

from .vectors import vectors


def published_steps(points: np.ndarray) -> float:
    """Algorithm 1: eigenvalues, the isotropy defect, and what it is scaled to."""
    n = points.shape[1]
    variances = np.linalg.eigvalsh(np.cov(points.T))
    scaled = math.sqrt(n) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(scaled - 1) / math.sqrt(2 * (n - math.sqrt(n)))
    phi = (n - defect**2 * (n - math.sqrt(n))) ** 2 / n**2
    return float((n * phi - 1) / (n - 1))


def clouds() -> dict[str, torch.Tensor]:
    scales = torch.tensor([5.0, 1.0, 1.0, 0.3, 0.1, 2.0], dtype=torch.float64)
    return {
        "round": vectors(500, 1),
        "stretched": vectors(500, 2) * scales + 3,
        "few": vectors(9, 3, 20),
        "flat": vectors(80, 4) * torch.tensor([1.0, 1, 0, 0, 0, 0], dtype=torch.float64),
    }


@pytest.mark.parametrize("cloud", clouds())
def test_isoscore_equals_its_published_steps(cloud: str) -> None:
    points = clouds()[cloud]
    assert isoscore(points).value == pytest.approx(published_steps(points.numpy()), abs=1e-9)


@pytest.mark.parametrize("cloud", clouds())
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_isoscore_equals_its_package(cloud: str) -> None:
    package = pytest.importorskip("IsoScore.IsoScore")
    points = clouds()[cloud]
    assert isoscore(points).value == pytest.approx(float(package.IsoScore(points)), abs=1e-6)


def test_isoscore_has_its_ends() -> None:
    both = torch.eye(4, dtype=torch.float64)
    assert isoscore(torch.cat([both, -both])).value == pytest.approx(1)
    line = torch.arange(5.0)[:, None] * torch.ones(1, 4)
    assert isoscore(line).value == pytest.approx(0, abs=1e-12)
    assert isoscore(torch.ones(5, 4)).value is None
    assert isoscore(torch.arange(5.0)[:, None]).value is None


def test_few_vectors_are_flagged_with_what_isotropic_ones_would_score() -> None:
    assert not isoscore(vectors(600, 1, 60)).reason
    found = isoscore(vectors(120, 1, 60))
    assert found.reason == "120 vectors of 60 dimensions: isotropic ones would score about 0.66"
    assert found.value == pytest.approx(0.66, abs=0.03)  # as these are


def test_partition_ratio_equals_plain_sums() -> None:
    cloud = vectors(40, 1) + 0.2
    _, directions = np.linalg.eigh((cloud.T @ cloud).numpy())
    sums = [
        sum(math.exp(sign * float(x @ torch.from_numpy(c))) for x in cloud)
        for c in directions.T
        for sign in (1, -1)
    ]
    assert partition_ratio(cloud).value == pytest.approx(min(sums) / max(sums), abs=1e-9)


def test_partition_ratio_of_long_vectors_does_not_overflow() -> None:
    found = partition_ratio(1e4 * vectors(40, 1)).value
    assert found == 0.0
    both = torch.eye(3, dtype=torch.float64)
    assert partition_ratio(torch.cat([both, -both])).value == pytest.approx(1)
