"""Z-scores: every language's mean and variance become those of the source language."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.transform import FitView
from xbench_plugins.transforms.affine import Affine
from xbench_plugins.transforms.statistics import deviation, mean, vectors_of

# A deviation below this share of the largest magnitude in its dimension is rounding of the states.
_NOISE = 1e-6


class ZScore(Affine):
    """Standardises each dimension by the language's mean and deviation, then undoes it by the source's.

    ``x -> (x - mu_L) / sigma_L * sigma_S + mu_S`` per dimension, with mu_L and sigma_L [D] the mean
    and the standard deviation (divided by N) of language L, and S the source language, whose states
    stay as they are, bit for bit. A dimension that does not vary in L or in S beyond rounding (a
    single sentence, say) is not rescaled, only moved. With ``centre`` = ``zero`` the standardised
    states themselves are given, as in the papers: mean 0 and variance 1 in every language, but a
    head that was trained on untransformed states cannot read them.

    Sources: Zhao et al. 2021, *Inducing Language-Agnostic Multilingual Representations* (arXiv
    2008.09112), batch normalisation per language, here with the statistics of all text;
    Libovicky et al. 2020 (arXiv 2004.05160) for the mean alone.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Which mean and variance every language gets."""

        centre: Literal["source", "zero"] = "source"

    sources: ClassVar[Mapping[str, str]] = {
        "centre": "reconstruction: the papers compare vectors and have zero",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def fit(self, view: FitView) -> None:
        """Needs text of every language; it need not say the same."""
        moments = {language: _moments(vectors_of(view, language)) for language in view.languages}
        mu_D, sigma_D = moments[view.source]
        if self.config.centre == "zero":
            mu_D, sigma_D = torch.zeros_like(mu_D), torch.ones_like(sigma_D)
        self.fitted = {}
        for language, (own_mu_D, own_sigma_D) in moments.items():
            varies_D = (own_sigma_D > 0) & (sigma_D > 0)
            scale_D = torch.where(varies_D, sigma_D / own_sigma_D, 1.0)
            self.fitted[f"scale.{language}"] = scale_D
            self.fitted[f"offset.{language}"] = mu_D - own_mu_D * scale_D


def _moments(vectors_ND: Tensor) -> tuple[Tensor, Tensor]:
    """([D] mean, [D] standard deviation: exactly 0 where the dimension does not vary)."""
    mean_D = mean(vectors_ND)
    sigma_D = deviation(vectors_ND, mean_D)
    return mean_D, sigma_D.where(sigma_D > _NOISE * vectors_ND.abs().amax(0), 0.0)
