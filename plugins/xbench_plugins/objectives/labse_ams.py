"""LaBSE's translation ranking: contrast between sentences with an additive margin."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.contrastive import Contrast, contrast


class LabseAms(Objective):
    """Each sentence must find its translation in the batch, with a margin, in both directions.

    With N pairs, pooled vectors u_i, v_i [N, D], cosine s, margin m and scale k::

        L(u, v) = -1/N sum_i log e^(k (s(u_i, v_i) - m))
                                 / (e^(k (s(u_i, v_i) - m)) + sum_{j != i} e^(k s(u_i, v_j)))

    and the loss is ``L(u, v) + L(v, u)``, the sum of two means over the N pairs, not their half;
    with ``bidirectional`` off it is ``L(u, v)``. Translations are pulled together until they are
    nearer by m than any other sentence of the other language, which is pushed away.

    Sources: Feng et al. 2022, *Language-agnostic BERT Sentence Embedding* (arXiv 2007.01852), the
    bidirectional dual encoder with additive margin softmax; Yang et al. 2019 (arXiv 1902.08564).
    Neither states the scale, without which a softmax over cosines is nearly flat. LaBSE's
    negatives are those of 4,096 pairs, and MLM and TLM come first.
    """

    version = 1
    coupled = frozenset({"ranking"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """How sentences are compared; ``LabseAms.sources`` has the origins."""

        margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.3
        scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0  # 1 / temperature
        bidirectional: bool = True
        pooling: Literal["cls", "mean"] = "cls"
        depth: Annotated[float, Field(ge=0, le=1)] = 1.0  # 0 is the embedding output

    sources: ClassVar[Mapping[str, str]] = {
        "margin": "paper",
        "scale": "reconstruction, from code: DAP and sentence-transformers (temperature 0.05)",
        "bidirectional": "paper",
        "pooling": "paper",
        "depth": "paper",
    }

    config: Config

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``ranking``; the count is N, whether one direction is summed or two."""
        config = self.config
        how = Contrast(1 / config.scale, bidirectional=config.bidirectional, margin=config.margin)
        u_ND, v_ND = (
            view.pooled(config.depth, config.pooling) for view in (batch.source, batch.target)
        )
        total, _ = contrast(u_ND, v_ND, how)
        return {"ranking": Term(total, len(u_ND))}
