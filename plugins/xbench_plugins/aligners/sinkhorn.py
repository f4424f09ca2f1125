"""Entropic optimal transport between two uniform distributions. n source and m target points."""

import torch
from torch import Tensor

# exp(-300) is far from what float64 cannot hold, squared too.
_RANGE = 300


def transport(
    cost_nm: Tensor, regularisation: float, iterations: int, tolerance: float = 1e-6
) -> Tensor:
    """[n, m] the plan T >= 0 with rows of sum 1/n and columns of sum 1/m that minimises

    ``sum_ij T_ij C_ij + e sum_ij T_ij (log T_ij - 1)``

    with e the ``regularisation``, found by Sinkhorn's alternating scaling of rows and columns of
    ``exp(-C / e)`` in float64. It ends after ``iterations``, or when the rows' sums are right within
    ``tolerance``, relatively; the columns' are exact. Source: Cuturi 2013, *Sinkhorn Distances*
    (arXiv 1306.0895), algorithm 1.

    Raises ``ValueError`` where the costs differ by more than 300 e: the scaling would underflow.
    """
    n, m = cost_nm.shape
    exponent_nm = (cost_nm.min() - cost_nm.double()) / regularisation
    if float(exponent_nm.min()) < -_RANGE:
        raise ValueError(
            f"a regularisation of {regularisation} is too small for costs that differ by "
            f"{float(cost_nm.max() - cost_nm.min()):.3g}; take at least a {_RANGE}th of that"
        )
    kernel_nm = exponent_nm.exp()
    rows_n, columns_m = kernel_nm.new_full((n,), torch.inf), kernel_nm.new_ones(m)
    for _ in range(iterations):
        better_n = 1 / (n * (kernel_nm @ columns_m))
        # The old scaling differs from the new by the factor that the rows' sums were wrong by.
        if bool((rows_n / better_n - 1).abs().max() <= tolerance):
            break
        rows_n = better_n
        columns_m = 1 / (m * (rows_n @ kernel_nm))
    return rows_n[:, None] * kernel_nm * columns_m
