"""Eigenvector similarity: do two languages' nearest-neighbour graphs have the same shape?"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from xbench.api.search import BUDGET, Search
from xbench_plugins.measures.measured import Measured, number, too_few, undefined

Floats = npt.NDArray[np.float64]
_ENERGY = 0.9


def eigenvector_similarity(first_ND: Tensor, second_ND: Tensor, budget: int = BUDGET) -> Measured:
    """``sum_{i <= k} (a_i - b_i)^2`` of two spectra, largest first: 0 for the same shape.

    a and b are the Laplacian eigenvalues of the languages' nearest-neighbour graphs, and k is the
    smaller of the two numbers of eigenvalues that make up 90 % of their sum. It grows with N.
    Undefined where a graph holds together a part whose matrix is above ``budget``, and for fewer than 4
    sentences, whose graphs all have the same shape.

    Source: Sogaard et al. 2018, *On the Limitations of Unsupervised Bilingual Dictionary Induction*
    (arXiv 1805.03620), section 3, there of words. Public code counts the 90 % from the small end.
    """
    if len(first_ND) < 4:
        return too_few(["similarity"], len(first_ND), 4)["similarity"]
    try:
        a_N, b_N = (spectrum(neighbours(side, budget), budget) for side in (first_ND, second_ND))
    except MemoryError as error:
        return undefined(str(error))
    k = min(_cut(a_N), _cut(b_N))
    return number(float(((a_N[:k] - b_N[:k]) ** 2).sum()))


def neighbours(vectors_ND: Tensor, budget: int = BUDGET) -> npt.NDArray[np.int64]:
    """[N] the nearest other row of each row, by cosine; of equals the first."""
    found = []
    for start, block_bN in Search(budget=budget).blocks(vectors_ND, vectors_ND):
        block_bN.diagonal(start).fill_(-torch.inf)
        found.append(block_bN.argmax(1))
    places: npt.NDArray[np.int64] = torch.cat(found).numpy()
    return places


def spectrum(neighbour_N: npt.NDArray[np.int64], budget: int = BUDGET) -> Floats:
    """[N] eigenvalues, largest first, of the Laplacian of the undirected graph i - neighbour(i).

    Taken part by connected part, so that no matrix of N x N is made of a graph in pieces. Raises
    ``MemoryError`` where the matrix of one part is above ``budget`` bytes.
    """
    count = len(neighbour_N)
    links = coo_matrix((np.ones(count), (np.arange(count), neighbour_N)), shape=(count, count))
    linked = ((links + links.T) > 0).astype(np.float64).tocsr()
    _, part_N = connected_components(linked, directed=False)
    order = np.argsort(part_N, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(part_N))[:-1])
    if 8 * max(map(len, members)) ** 2 > budget:
        raise MemoryError(f"{max(map(len, members))} sentences are one part of a graph")
    values = [_laplacian_eigenvalues(linked[rows][:, rows].toarray()) for rows in members]
    return np.sort(np.concatenate(values))[::-1]


def _laplacian_eigenvalues(linked_nn: Floats) -> Floats:
    return np.linalg.eigvalsh(np.diag(linked_nn.sum(0)) - linked_nn).astype(np.float64)


def _cut(spectrum_N: Floats) -> int:
    """How many of the largest eigenvalues make up 90 % of the sum."""
    share_N = np.cumsum(spectrum_N) / spectrum_N.sum()
    return int(np.searchsorted(share_N, _ENERGY - 1e-12)) + 1
