"""Means and deviations of one language's vectors. N vectors, D dimensions."""

import torch
from torch import Tensor

from xbench.api.transform import FitView, Unit

_ROWS_AT_ONCE = 4096  # raised to float64 at a time


def vectors_of(view: FitView, language: str, unit: Unit | None = None) -> Tensor:
    """[N, D] the text of a language. Raises ``ValueError`` where there is none, or it is not finite."""
    vectors_ND = view.vectors(language, unit)
    if vectors_ND.dim() != 2 or not len(vectors_ND):
        raise ValueError(f"there is no text of {language} to fit a transform on")
    if not bool(torch.isfinite(vectors_ND).all()):
        raise ValueError(
            f"a vector of {language} is not finite: the encoder has diverged or its file is damaged"
        )
    return vectors_ND


def mean(vectors_ND: Tensor) -> Tensor:
    """[D] float64 mean over the N vectors."""
    return vectors_ND.sum(0, dtype=torch.float64) / len(vectors_ND)


def deviation(vectors_ND: Tensor, mean_D: Tensor) -> Tensor:
    """[D] float64 standard deviation over the N vectors, divided by N (of the text as it is)."""
    squares_D = torch.zeros_like(mean_D)
    for start in range(0, len(vectors_ND), _ROWS_AT_ONCE):
        rows_nD = vectors_ND[start : start + _ROWS_AT_ONCE].double()
        squares_D += (rows_nD - mean_D).square().sum(0)
    return (squares_D / len(vectors_ND)).sqrt()
