"""Multilingual distillation: translations get the sentence vector that a frozen teacher gives."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from xbench.api.batch import PairBatch
from xbench.api.copies import FrozenCopy
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.squared_distance import squared_distances


class SbertDistill(Objective):
    """Both sentences of a pair are pulled to the teacher's vector of one of them.

    With the teacher T, the encoder f and N pairs (s_i, t_i), s in the teacher's language,

    ``1/(N D) sum_i ||T(s_i) - f(s_i)||^2 + ||T(s_i) - f(t_i)||^2``

    over pooled vectors [N, D]. Mean over the N sentences and the D dimensions for each of the two
    terms, ``source`` and ``target``, which are added. One keeps the teacher's language in its place,
    the other brings the other language there; there are no negatives.

    The teacher is the untouched encoder itself, frozen and in evaluation mode, where the paper has
    a sentence encoder that was tuned on English (SBERT): only the positions of sentences can be
    learnt from it, not better ones. The paper's formula does not say what becomes of the
    dimensions; its code, ``MSELoss`` of sentence-transformers, takes their mean.

    Source: Reimers and Gurevych 2020, *Making Monolingual Sentence Embeddings Multilingual using
    Knowledge Distillation* (arXiv 2004.09813), section 2, the unnumbered loss.
    """

    version = 1
    needs: ClassVar[frozenset[str]] = frozenset({"pairs"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Whose vectors are the target, and which."""

        teacher_side: Literal["source", "target"] = "source"
        pooling: Literal["mean", "cls"] = "mean"
        depth: Annotated[float, Field(ge=0, le=1)] = 1.0  # of the teacher and of the encoder

    sources: ClassVar[Mapping[str, str]] = {
        "teacher_side": "reconstruction: the paper's is English; here the first language of a pair",
        "pooling": "paper",
        "depth": "paper",
    }

    config: Config
    teacher: FrozenCopy

    def setup(self, encoder: nn.Module) -> None:
        """Keeps a copy of the encoder as it is before training."""
        self.teacher = FrozenCopy(encoder)

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``source`` and ``target``, each counted in sentences."""
        how = (self.config.depth, self.config.pooling)
        taught = batch.through(self.teacher)
        view = taught.source if self.config.teacher_side == "source" else taught.target
        wanted_ND = view.pooled(*how)
        return {
            "source": Term(*squared_distances(batch.source.pooled(*how), wanted_ND, "mean")),
            "target": Term(*squared_distances(batch.target.pooled(*how), wanted_ND, "mean")),
        }
