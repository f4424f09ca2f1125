"""LSAR: the subspace in which languages differ is removed."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.transform import FitView, Transform
from xbench_plugins.transforms.affine import at_least_float32, fitted_for
from xbench_plugins.transforms.statistics import mean, vectors_of


class Lsar(Transform):
    """Projects states off the subspace that the means of the languages span, less their mean.

    With ``M = [mu_1 ... mu_L]`` [D, L] the mean states of L languages, M is fitted by a part that
    is common to all and one of rank r that is specific: ``M ~ m_a 1^T + M_s Gamma^T`` with m_a
    orthogonal to M_s. The columns of M_s [D, r], made orthonormal, are the specific subspace, and

        ``x -> x - M_s M_s^T (x - mu_S)``

    for every language, the source language S too: what a state has in the subspace is replaced by
    what the mean of S has there. With ``centre`` = ``zero`` mu_S is left out, as in the paper: cosines
    are then those of the paper, but a head that was trained on untransformed states cannot read the
    result.

    The paper finds M_s in five steps: the rank-r fit of ``M - m 1^T`` with m the mean of the columns;
    ``M' = m 1^T + fit``; ``m_a = (M'^+)^T 1 / ||(M'^+)^T 1||^2``; and the first r left singular vectors
    of ``M' - m_a 1^T``. Its columns all lie in the span of the fit of the first step, and have the
    same rank, so that M_s spans what the first r left singular vectors of ``M - m 1^T`` span; these
    are taken, which also holds where m lies in that span and the third step would divide by zero.

    ``rank`` is r, at most L - 1; ``None`` is L - 1, which removes all differences of means. Directions
    in which the means do not differ are never removed.

    Source: Xie et al. 2022, *Discovering Low-rank Subspaces for Language-agnostic Multilingual
    Representations* (LSAR, arXiv 2401.05792), its algorithm; the decomposition is that of Piratla et
    al. 2020 (arXiv 2003.12815).
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """How much is removed, and what stands in its place."""

        rank: Annotated[int, Field(ge=1)] | None = None
        centre: Literal["source", "zero"] = "source"

    sources: ClassVar[Mapping[str, str]] = {
        "rank": "reconstruction (guess): alternatives 1 to 14",
        "centre": "reconstruction: the paper compares vectors and has zero",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def fit(self, view: FitView) -> None:
        """Needs text of every language; it need not say the same.

        Raises ``ValueError`` where ``rank`` is above the number of languages less one.
        """
        languages = list(view.languages)
        rank = len(languages) - 1 if self.config.rank is None else self.config.rank
        if rank >= len(languages):
            raise ValueError(
                f"lsar: the rank is {rank}, but {len(languages)} languages differ in at most "
                f"{len(languages) - 1} directions; lower objective.lsar.rank or take more languages"
            )
        means_DL = torch.stack([mean(vectors_of(view, each)) for each in languages], dim=1)
        basis_Dr = specific_subspace(means_DL, rank)
        centre_D = means_DL[:, languages.index(view.source)]
        if self.config.centre == "zero":
            centre_D = torch.zeros_like(centre_D)
        offset_D = basis_Dr @ (basis_Dr.T @ centre_D)
        self.fitted = {"basis": basis_Dr}
        self.fitted |= {f"offset.{language}": offset_D.clone() for language in languages}

    def forward(self, states: Tensor, language: str) -> Tensor:
        """[..., D] -> [..., D] of the same type, computed in float32 at least."""
        offset_D = fitted_for(self.fitted, "offset", language)
        with torch.autocast(states.device.type, enabled=False):
            result = at_least_float32(states)
            basis_Dr = self.fitted["basis"].to(result)
            result = result - (result @ basis_Dr) @ basis_Dr.T
            return (result + offset_D.to(result)).to(states.dtype)


def specific_subspace(means_DL: Tensor, rank: int) -> Tensor:
    """[D, r] orthonormal: the first ``rank`` directions in which the means differ, or fewer."""
    centred_DL = means_DL - means_DL.mean(1, keepdim=True)
    left, sigma, _ = torch.linalg.svd(centred_DL, full_matrices=False)
    rounding = means_DL.abs().max() * max(means_DL.shape) * torch.finfo(sigma.dtype).eps
    basis_Dr: Tensor = left[:, : min(rank, int((sigma > rounding).sum()))].contiguous()
    return basis_Dr
