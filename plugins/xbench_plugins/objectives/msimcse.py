"""mSimCSE trained on translations: contrast between sentences through a head that is thrown away."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from xbench.api.batch import PairBatch, View
from xbench.api.objective import Objective, Term
from xbench_plugins.heads import dense
from xbench_plugins.losses.contrastive import Contrast, Similarity, contrast


class MSimCSE(Objective):
    """Each source sentence must find its translation among the target sentences of the batch.

    With N pairs, pooled vectors [N, D], a head g (one dense layer and tanh), cosine s and the
    temperature t, mean over the N source sentences::

        u_i = g(pool(x_i)), v_i = g(pool(y_i))      -log e^(s(u_i, v_i) / t) / sum_j e^(s(u_i, v_j) / t)

    It pulls a sentence and its translation together and pushes the other target sentences away. The
    head belongs to the objective and is used in training only: the aligned encoder is without it.
    The same meaning twice in a batch counts as a negative of itself.

    Sources: Wang et al. 2022, *English Contrastive Learning Can Learn Universal Cross-lingual
    Sentence Embeddings* (arXiv 2211.06127), its variant on parallel text; the loss is that of Gao
    et al. 2021 (SimCSE, arXiv 2104.08821), equation 1. Code: github.com/yaushian/mSimCSE.
    """

    version = 1
    coupled = frozenset({"contrast"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """How sentences are compared; ``MSimCSE.sources`` has the origins."""

        temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.05
        similarity: Similarity = "cosine"
        bidirectional: bool = False  # true: also each target among the sources
        pooling: Literal["cls", "mean"] = "cls"
        depth: Annotated[float, Field(ge=0, le=1)] = 1.0  # 0 is the embedding output
        head: Literal["dense_tanh", "none"] = "dense_tanh"

    sources: ClassVar[Mapping[str, str]] = {
        "temperature": "code: mSimCSE",
        "similarity": "code: mSimCSE",
        "bidirectional": "code: mSimCSE",
        "pooling": "code: mSimCSE",
        "depth": "code: mSimCSE",
        "head": "code: mSimCSE",
    }

    # The paper's others need dropout twice or natural language inference, not translations.
    variants: ClassVar[Mapping[str, Config]] = {"parallel": Config()}

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.head: nn.Module = nn.Identity()

    def setup(self, encoder: nn.Module) -> None:
        """Create the head [D, D]."""
        if self.config.head == "dense_tanh":
            self.head = nn.Sequential(dense(encoder), nn.Tanh())

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``contrast``; the count is N, or 2N where bidirectional."""
        config = self.config
        how = Contrast(config.temperature, config.similarity, config.bidirectional)
        total, count = contrast(self._vectors(batch.source), self._vectors(batch.target), how)
        return {"contrast": Term(total, count)}

    def _vectors(self, view: View) -> Tensor:
        vectors: Tensor = self.head(view.pooled(self.config.depth, self.config.pooling))
        return vectors
