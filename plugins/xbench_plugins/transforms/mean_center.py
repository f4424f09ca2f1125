"""Mean centring: every language's mean becomes that of the source language."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass

from xbench.api.transform import FitView
from xbench_plugins.transforms.affine import Affine
from xbench_plugins.transforms.statistics import mean, vectors_of


class MeanCenter(Affine):
    """Removes the mean of a language and adds that of the source language.

    ``x -> x - mu_L + mu_S`` with mu_L [D] the mean state of language L and S the source language,
    whose states stay as they are, bit for bit. What is common to all text of a language, its
    identity for the most part, is taken away; nothing else changes. With ``centre`` = ``zero``
    nothing is added, as in the papers: cosines are then measured around the mean, but a head that
    was trained on untransformed states cannot read the result.

    Sources: Libovicky et al. 2020, *On the Language Neutrality of Pre-trained Multilingual
    Representations* (arXiv 2004.05160); Zhao et al. 2021 (arXiv 2008.09112).
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Where the centre of every language is put."""

        centre: Literal["source", "zero"] = "source"

    sources: ClassVar[Mapping[str, str]] = {
        "centre": "reconstruction: the papers compare vectors and have zero",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def fit(self, view: FitView) -> None:
        """Needs text of every language; it need not say the same."""
        means = {language: mean(vectors_of(view, language)) for language in view.languages}
        centre_D = means[view.source]
        if self.config.centre == "zero":
            centre_D = torch.zeros_like(centre_D)
        self.fitted = {
            f"offset.{language}": centre_D - mean_D for language, mean_D in means.items()
        }
