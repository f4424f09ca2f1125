"""Similarities of units, and who is whose best. n source units, m target units, D dimensions."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Equal vectors at different places of a matrix product differ in its last bits. Rounded, they tie.
_DECIMALS = 12


def cosines(source_nD: Tensor, target_mD: Tensor) -> Tensor:
    """[n, m] cosine of each source unit and each target unit, rounded to 12 decimals."""
    cosine_nm = F.normalize(source_nD, dim=-1) @ F.normalize(target_mD, dim=-1).T
    return cosine_nm.round(decimals=_DECIMALS)


def similarities(source_nD: Tensor, target_mD: Tensor, distortion: float = 0.0) -> Tensor:
    """[n, m] in [0, 1]: ``(cos + 1) / 2``, times ``1 - distortion (i / (n-1) - j / (m-1))^2``.

    The factor favours units at like places of their sentences; with a single unit on a side it is
    left out. Source: Jalili Sabet et al. 2020 (SimAlign, arXiv 2004.08728), the distortion correction, in
    the form of its code.
    """
    similarity_nm = (cosines(source_nD, target_mD) + 1) / 2
    n, m = similarity_nm.shape
    if min(n, m) < 2 or not distortion:
        return similarity_nm
    source_n1 = torch.arange(n, dtype=torch.float64, device=source_nD.device)[:, None] / (n - 1)
    target_m = torch.arange(m, dtype=torch.float64, device=source_nD.device) / (m - 1)
    return similarity_nm * (1 - distortion * (source_n1 - target_m) ** 2)


def mutual_best(scores_nm: Tensor) -> Tensor:
    """[n, m] bool: j is the best of row i, and i the best of column j; of equals the first."""
    best_n, best_m = scores_nm.argmax(1), scores_nm.argmax(0)
    first_n = torch.arange(len(best_n), device=scores_nm.device)
    linked_nm = torch.zeros_like(scores_nm, dtype=torch.bool)
    linked_nm[first_n, best_n] = best_m[best_n] == first_n
    return linked_nm
