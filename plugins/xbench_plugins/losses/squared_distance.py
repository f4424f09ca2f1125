"""Squared distances between paired vectors. K pairs of rows, D dimensions."""

from typing import Literal, get_args

from torch import Tensor

Dimensions = Literal["sum", "mean"]


def squared_distances(a_KD: Tensor, b_KD: Tensor, dimensions: Dimensions) -> tuple[Tensor, int]:
    """``sum_k ||a_k - b_k||^2``, or with ``mean`` the same divided by D; the count is K.

    The two differ by the factor D, 768 in a base model: a weight that was set for one of them
    means something else with the other. ``mean`` over count is ``torch.nn.MSELoss``. Half precision
    is raised to float32 first. Without rows the sum is zero.
    """
    if dimensions not in get_args(Dimensions):
        raise ValueError(f"dimensions must be one of {get_args(Dimensions)}, not {dimensions!r}")
    if a_KD.shape != b_KD.shape:
        raise ValueError(f"the vectors have the shapes {list(a_KD.shape)} and {list(b_KD.shape)}")
    if a_KD.dtype.itemsize < 4:
        a_KD, b_KD = a_KD.float(), b_KD.float()
    total = (a_KD - b_KD).square().sum()
    return (total / a_KD.shape[1] if dimensions == "mean" else total), len(a_KD)
