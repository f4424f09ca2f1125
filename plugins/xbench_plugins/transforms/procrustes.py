"""Procrustes: the rotation of every language that brings its sentences nearest to the source's."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.transform import FitView
from xbench_plugins.transforms.affine import Affine
from xbench_plugins.transforms.statistics import mean, vectors_of


class Procrustes(Affine):
    """Rotates (and reflects) a language's states onto those of the source language.

    With X [N, D] the pooled sentences of language L and Y [N, D] their translations into the source
    language S, both with their mean removed,

        ``W_L = argmin_W ||X W - Y||_F  subject to  W^T W = I``,  which is ``U V^T`` for the singular
        value decomposition ``U Sigma V^T = X^T Y``,

    and ``x -> (x - mu_L) W_L + mu_S``. The means are those of what is transformed (tokens, or
    sentences); without ``centre`` they are neither removed nor added. States of the source language
    stay as they are, bit for bit.

    Fewer sentences than dimensions leave directions that no sentence has: there any rotation fits
    equally well, and the one nearest to the identity is taken. So W_L is the identity for a language
    that is aligned already, however few the sentences.

    Sources: Schoenemann 1966, *A Generalized Solution of the Orthogonal Procrustes Problem*;
    for contextual states Kulshreshtha et al. 2020 (arXiv 2009.14304), who centre per
    language, and the linear mapping of Wu and Dredze 2020 (arXiv 2010.02537). Both map words by word
    links; here sentences stand for them.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Whether means are removed."""

        centre: bool = True

    sources: ClassVar[Mapping[str, str]] = {"centre": "paper (Kulshreshtha et al. 2020)"}

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def fit(self, view: FitView) -> None:
        """Needs the same sentences in every language. Raises ``ValueError`` where numbers differ."""
        source_ND = vectors_of(view, view.source, "sentence")
        centre_D = self._mean(view, view.source, source_ND)
        self.fitted = {f"offset.{view.source}": torch.zeros_like(centre_D)}
        for language in view.languages:
            if language == view.source:
                continue
            sentences_ND = vectors_of(view, language, "sentence")
            if sentences_ND.shape != source_ND.shape:
                raise ValueError(
                    f"procrustes needs the same sentences in every language: {len(sentences_ND)} are "
                    f"in {language} and {len(source_ND)} in {view.source}"
                )
            rotation_DD = nearest_rotation(self._centred(sentences_ND).T @ self._centred(source_ND))
            own_D = self._mean(view, language, sentences_ND)
            # The only large part: kept in the states' own precision.
            self.fitted[f"rotation.{language}"] = rotation_DD.to(sentences_ND.dtype)
            self.fitted[f"offset.{language}"] = centre_D - own_D @ rotation_DD

    def _centred(self, vectors_ND: Tensor) -> Tensor:
        return vectors_ND.double() - mean(vectors_ND) if self.config.centre else vectors_ND.double()

    def _mean(self, view: FitView, language: str, sentences_ND: Tensor) -> Tensor:
        """[D] what is removed of a language's states: their mean, or nothing."""
        if not self.config.centre:
            return sentences_ND.new_zeros(sentences_ND.shape[1], dtype=torch.float64)
        return mean(sentences_ND if view.unit == "sentence" else vectors_of(view, language))


def nearest_rotation(product_DD: Tensor) -> Tensor:
    """[D, D] orthogonal W that maximises ``tr(W^T M)``; among several, the nearest to the identity.

    With ``M = U Sigma V^T`` it is ``U V^T`` where Sigma > 0. The columns U_0, V_0 of the singular
    value 0 are free: ``U_0 Q V_0^T`` is nearest to the identity for Q the rotation that fits
    ``U_0^T V_0`` best.
    """
    left_DD, sigma_D, right_DD = torch.linalg.svd(product_DD)
    right_DD = right_DD.T
    rounding = sigma_D[0] * len(sigma_D) * torch.finfo(sigma_D.dtype).eps
    rank = int((sigma_D > rounding).sum())
    fixed_DD = left_DD[:, :rank] @ right_DD[:, :rank].T
    free_left, free_right = left_DD[:, rank:], right_DD[:, rank:]
    first, _, second = torch.linalg.svd(free_left.T @ free_right)
    nearest_DD: Tensor = fixed_DD + free_left @ (first @ second) @ free_right.T
    return nearest_DD
