"""XeroAlign: an example and its translation get the same sentence vector while a task is learnt."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.squared_distance import squared_distances


class XeroAlign(Objective):
    """Mean squared error between the vectors of task examples and of their translations.

    ``1/(N D) sum_n ||u_n - v_n||^2`` with u_n, v_n [N, D] the pooled example and its pooled
    translation. Mean over the N examples and the D dimensions. It pulls the two together, with a
    gradient on both sides; the task's loss, which it is added to, keeps them from collapsing.

    Differences to the authors' code: the vector is the state of ``<s>`` itself, that the head
    reads with ``sentence_pooling: cls``, and not its tanh pooler, which the harness has none of;
    the translations are those of the step's own examples, not of others drawn at random; padding
    is never attended to, while that code passes no attention mask, so that there it is.

    Source: Gritta and Iacobacci 2021, *XeroAlign: Zero-Shot Cross-lingual Transformer Alignment*
    (arXiv 2105.02472), the alignment loss of its method section; code:
    github.com/huawei-noah/noah-research, xero_align.
    """

    version = 1
    needs: ClassVar[frozenset[str]] = frozenset({"task", "translated_task"})
    phases: ClassVar[frozenset[str]] = frozenset({"during"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Which vector of a text is compared."""

        pooling: Literal["cls", "mean"] = "cls"
        depth: Annotated[float, Field(ge=0, le=1)] = 1.0

    sources: ClassVar[Mapping[str, str]] = {
        "pooling": "paper; alternative mean",
        "depth": "paper",
    }

    config: Config

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``alignment``, counted in examples."""
        how = (self.config.depth, self.config.pooling)
        own_ND, other_ND = batch.task.view.pooled(*how), batch.task.translated.pooled(*how)
        return {"alignment": Term(*squared_distances(own_ND, other_ND, "mean"))}
