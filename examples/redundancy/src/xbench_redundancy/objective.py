"""Redundancy reduction: the two sentences of a pair agree in every dimension, and dimensions differ."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from xbench.api import Objective, PairBatch, Term

EPSILON = 1e-5  # of the variance, as in batch normalisation


class Redundancy(Objective):
    """The cross-correlation of the two sides' vectors is pulled to the identity matrix.

    With N pairs, vectors u, v [N, D] that are standardised over the batch (mean 0 and variance 1 in
    every dimension, the variance over N and not N - 1) and C = u^T v / N, [D, D]::

        1/D sum_i (1 - C_ii)^2  +  weight * 1/D sum_i sum_{j != i} C_ij^2

    The first term, *invariance*, pulls a sentence and its translation together, dimension by
    dimension. The second, *redundancy*, keeps dimensions from saying the same, so that a collapse
    onto one point is no solution. There are no negatives. Both are one value for a batch; their
    count is N.

    Normalisation: the paper sums over the D dimensions. Here the sum is divided by D, so that the
    loss does not grow with the width; the ratio of the two terms is the paper's. The paper compares
    two distorted copies of an image, behind a projector that is thrown away after training
    (``projected``, with one layer of it and not three); ``plain`` reads the encoder itself.

    Source: Zbontar et al. 2021, *Barlow Twins: Self-Supervised Learning via Redundancy Reduction*
    (arXiv 2103.03230), equations 1 and 2.
    """

    version = 1
    coupled = frozenset({"invariance", "redundancy"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Which vectors are compared, and what redundancy costs."""

        weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.005  # lambda
        pooling: Literal["mean", "cls"] = "mean"
        depth: Annotated[float, Field(ge=0, le=1)] = 1.0  # 0 is the embedding output
        projection: Annotated[int, Field(ge=0)] = 0  # its width; 0: none

    sources: ClassVar[Mapping[str, str]] = {
        "weight": "paper",
        "pooling": "reconstruction: the paper has images",
        "depth": "reconstruction: the paper has images",
        "projection": "reconstruction: the paper's is 8192 wide, and three layers deep",
    }

    variants: ClassVar[Mapping[str, Config]] = {
        "plain": Config(),
        "projected": Config(projection=256),
    }

    config: Config
    projection: nn.Module

    def setup(self, encoder: nn.Module) -> None:
        """Create the projection [D, ``projection``]."""
        self.projection = nn.Identity()
        if self.config.projection:
            config: Any = encoder.config
            dtype = next(encoder.parameters()).dtype
            self.projection = nn.Linear(
                config.hidden_size, self.config.projection, bias=False, dtype=dtype
            )

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``invariance`` and ``redundancy``, each counted in pairs."""
        how = (self.config.depth, self.config.pooling)
        u_ND, v_ND = (
            standardised(self.projection(view.pooled(*how)))
            for view in (batch.source, batch.target)
        )
        count, width = u_ND.shape
        correlation_DD = u_ND.T @ v_ND / count
        own_D = correlation_DD.diagonal()
        invariance = (1 - own_D).square().sum() / width
        redundancy = (correlation_DD.square().sum() - own_D.square().sum()) / width
        return {
            "invariance": Term(count * invariance, count),
            "redundancy": Term(count * self.config.weight * redundancy, count),
        }


def standardised(vectors_ND: Tensor) -> Tensor:
    """[N, D] with mean 0 and variance 1 in every dimension; a constant dimension becomes 0."""
    wide_ND = vectors_ND.to(torch.promote_types(vectors_ND.dtype, torch.float32))
    variance_D, mean_D = torch.var_mean(wide_ND, dim=0, correction=0)
    return (wide_ND - mean_D) / (variance_D + EPSILON).sqrt()
