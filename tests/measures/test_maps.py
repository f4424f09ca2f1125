"""Principal components against scikit-learn; t-SNE keeps neighbours together."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from xbench_plugins.measures.maps import principal_components, tsne, umap

from .vectors import vectors


def test_principal_components_equal_scikit_learns() -> None:
    cloud = vectors(50, 1) * torch.tensor([3.0, 2, 1, 1, 1, 1]) + 4
    found, shares = principal_components(cloud)
    model = PCA(2).fit(cloud.numpy())
    expected = model.transform(cloud.numpy())
    signs = np.sign((expected * found.numpy()).sum(0))
    np.testing.assert_allclose(found.numpy(), expected * signs, atol=1e-9)
    np.testing.assert_allclose(shares.numpy(), model.explained_variance_ratio_, atol=1e-12)


def test_the_sign_is_that_of_the_largest_entry() -> None:
    line = torch.outer(torch.arange(5.0).double(), torch.tensor([0.1, -0.9, 0.4]).double())
    found, shares = principal_components(line)
    assert (found[:, 0].diff() < 0).all()  # the axis has the opposite direction of the line
    assert shares.tolist() == pytest.approx([1, 0])


def test_missing_components_are_zero() -> None:
    found, shares = principal_components(vectors(5, 1, 1))
    assert found.shape == (5, 2)
    assert not found[:, 1].any()
    assert shares.tolist() == pytest.approx([1, 0])


def groups() -> torch.Tensor:
    centres = 20 * torch.eye(6, dtype=torch.float64)[:3]
    return torch.cat([centre + vectors(20, n) for n, centre in enumerate(centres)])


@pytest.mark.parametrize("method", [tsne, umap])
def test_groups_stay_together_and_a_map_is_the_same_each_time(method: object) -> None:
    if method is umap:
        pytest.importorskip("umap", reason="the extra umap is not installed")
    assert callable(method)
    found = method(groups())
    assert torch.equal(found, method(groups()))
    apart = torch.cdist(found, found) + torch.diag(torch.full((60,), torch.inf)).double()
    assert (apart.argmin(1) // 20 == torch.arange(60) // 20).all()


@pytest.mark.parametrize("count", [4, 7])
def test_few_sentences_can_be_mapped(count: int) -> None:
    assert torch.isfinite(tsne(vectors(count, 1))).all()
