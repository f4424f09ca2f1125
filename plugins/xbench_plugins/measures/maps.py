"""Maps of vectors in two dimensions. N vectors, D dimensions."""

import torch
from sklearn.manifold import TSNE
from torch import Tensor

_BEFORE = 50  # principal components that t-SNE and UMAP start from, as their authors advise


def principal_components(vectors_ND: Tensor, count: int = 2) -> tuple[Tensor, Tensor]:
    """([N, count] float64 coordinates, [count] their shares of the variance).

    Along the first eigenvectors of the covariance. An eigenvector's sign is chosen so that its
    largest entry is positive; missing components, of fewer dimensions or vectors, are zero. Raises
    ``ValueError`` where fewer than two vectors, or vectors that are all the same, have no place.
    """
    if len(vectors_ND) < 2 or bool((vectors_ND == vectors_ND[0]).all()):
        raise ValueError(f"{len(vectors_ND)} vectors do not vary: there is no map of them")
    centred_ND = vectors_ND.double() - vectors_ND.double().mean(0)
    variances_D, axes_DD = torch.linalg.eigh(centred_ND.T @ centred_ND)
    axes_Dc = axes_DD.flip(1)[:, :count]
    largest_c = axes_Dc.abs().argmax(0)
    signs_c = axes_Dc.gather(0, largest_c[None])[0].sign()
    shares_c = (variances_D.clamp(min=0) / variances_D.clamp(min=0).sum()).flip(0)[:count]
    missing = count - len(shares_c)
    pad = torch.nn.functional.pad
    return pad(centred_ND @ (axes_Dc * signs_c), (0, missing)), pad(shares_c, (0, missing))


def tsne(vectors_ND: Tensor, perplexity: float = 30.0) -> Tensor:
    """[N, 2] t-SNE of the first 50 principal components, started from the first two.

    The perplexity is at most ``(N - 1) / 3``. Deterministic for a given order of the vectors; only
    neighbourhoods mean something, distances between clusters do not.
    Source: van der Maaten & Hinton 2008, *Visualizing Data using t-SNE* (JMLR 9).
    """
    reduced = principal_components(vectors_ND, min(_BEFORE, *vectors_ND.shape))[0].numpy()
    perplexity = min(perplexity, (len(reduced) - 1) / 3)
    made = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
    return torch.from_numpy(made).double()


def umap(vectors_ND: Tensor, neighbours: int = 15) -> Tensor:
    """[N, 2] UMAP of the first 50 principal components, with a fixed seed.

    Raises ``ImportError`` where the extra is not installed, and ``ValueError`` for fewer than 3.
    Source: McInnes et al. 2018 (arXiv 1802.03426).
    """
    if len(vectors_ND) < 3:
        raise ValueError(f"{len(vectors_ND)} vectors, and a map by UMAP needs 3")
    from umap import UMAP

    reduced = principal_components(vectors_ND, min(_BEFORE, *vectors_ND.shape))[0].numpy()
    neighbours = min(neighbours, len(reduced) - 1)
    made = UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1).fit_transform(reduced)
    return torch.from_numpy(made).double()
