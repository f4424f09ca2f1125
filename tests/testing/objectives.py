"""An objective that keeps its contract, and many that break it in one way each."""

import random
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xbench.api import FrozenCopy, Objective, Term


class Good(Objective):
    """The cosine distance ``1 - cos(u, v)`` of translations [N, D] (Name et al. 2020)."""

    @dataclass(frozen=True)
    class Config:
        depth: float = 1.0

    sources = {"depth": "paper"}

    def distances(self, batch: Any) -> Tensor:
        depth = self.config.depth
        return 1 - F.cosine_similarity(batch.source.pooled(depth), batch.target.pooled(depth))

    def terms(self, batch: Any) -> dict[str, Term]:
        distance_N = self.distances(batch)
        return {"distance": Term(distance_N.sum(), len(distance_N))}


class Undocumented(Good):
    pass


class NoFormula(Good):
    """Translations are pulled together, see Name et al. 2020."""


class NoReference(Good):
    """The cosine distance ``1 - cos(u, v)`` of translations [N, D]."""


class NoOrigin(Good):
    sources = {}


class StrayOrigin(Good):
    sources = {"depth": "paper", "temperature": "paper"}


class NoDefault(Good):
    @dataclass(frozen=True)
    class Config:
        depth: float


class Changeable(Good):
    @dataclass
    class Config:
        depth: float = 1.0


class Unkeepable(Good):
    @dataclass(frozen=True)
    class Config:
        depth: float = 1.0
        what: Any = field(default_factory=object)

    sources = {"depth": "paper", "what": "paper"}


class UnknownNeed(Good):
    needs = frozenset({"pairs", "money"})


class TaskBefore(Good):
    needs = frozenset({"pairs", "task"})


class MisnamedCoupling(Good):
    coupled = frozenset({"sentence"})


class UndeclaredLinks(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        return {"links": Term(batch.source.pooled().sum(), len(batch.links))}


class NoTerms(Good):
    def terms(self, batch: Any) -> Any:
        return {}


class BareTensor(Good):
    def terms(self, batch: Any) -> Any:
        return {"distance": self.distances(batch).mean()}


class NotSummed(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        distance_N = self.distances(batch)
        return {"distance": Term(distance_N, len(distance_N))}


class NotANumber(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        return {"distance": Term(self.distances(batch).sum() * torch.nan, 8)}


class CountsNothing(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        return {"distance": Term(self.distances(batch).sum(), 0)}


class Detached(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        detached = self.distances(batch).detach().requires_grad_()
        return {"distance": Term(detached.sum(), len(detached))}


class InfiniteSlope(Good):
    """``sqrt(||u - sg u||^2)`` is 0, and its gradient is not a number."""

    def terms(self, batch: Any) -> dict[str, Term]:
        u_ND = batch.source.pooled()
        root = (u_ND - u_ND.detach()).square().sum().sqrt()
        return {"distance": Term(self.distances(batch).sum() + root, len(u_ND))}


class IdleHead(Good):
    def setup(self, encoder: Any) -> None:
        self.head = nn.Linear(encoder.config.hidden_size, 3)


class CountsPadding(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        u_ND, v_ND = (side.states().mean(1) for side in (batch.source, batch.target))
        return {"distance": Term((u_ND - v_ND).square().sum(), len(u_ND))}


class FirstRowOnly(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        return {"distance": Term(self.distances(batch)[0], 1)}


class OtherRandomness(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        distance_N = self.distances(batch)
        return {"distance": Term(random.random() * distance_N.sum(), len(distance_N))}


class Forgetful(Good):
    """Distances weigh more by their running mean, which is an attribute."""

    def setup(self, encoder: Any) -> None:
        self.mean = torch.tensor(1.0)

    def terms(self, batch: Any) -> dict[str, Term]:
        distance_N = self.distances(batch)
        self.latest = distance_N.detach().mean()
        return {"distance": Term(distance_N.sum() * (1 + self.mean), len(distance_N))}

    def after_step(self, encoder: Any, step: int) -> None:
        self.mean = 0.5 * self.mean + 0.5 * self.latest


class Remembering(Forgetful):
    """The same with a buffer keeps the contract; ``(1 + m) d`` (Name et al. 2020)."""

    mean: Tensor

    def setup(self, encoder: Any) -> None:
        self.register_buffer("mean", torch.tensor(1.0))


class OnlyInFull(Good):
    """``logdet`` of a product, which autocast makes a bfloat16 matrix."""

    def terms(self, batch: Any) -> dict[str, Term]:
        u_ND = batch.source.pooled()
        gram_DD = u_ND.T @ u_ND
        gram_DD = gram_DD + torch.eye(len(gram_DD), dtype=gram_DD.dtype)
        spread = torch.linalg.slogdet(gram_DD).logabsdet
        return {"distance": Term(self.distances(batch).sum(), 8), "spread": Term(-spread, 1)}


class KnowsTheChunk(Good):
    def terms(self, batch: Any) -> dict[str, Term]:
        pooled = batch.source.pooled() if batch.index == 0 else batch.target.pooled()
        return {"distance": Term(pooled.square().sum() + self.distances(batch).sum(), 8)}


class Repelling(Good):
    def distances(self, batch: Any) -> Tensor:
        return 2 - super().distances(batch)


class Blind(Good):
    """Each side is pulled to a fixed point; whose translation it is does not matter."""

    def terms(self, batch: Any) -> dict[str, Term]:
        terms = {}
        for name, side in {"source": batch.source, "target": batch.target}.items():
            pooled_ND = side.pooled()
            terms[name] = Term((pooled_ND - 1).square().sum(), len(pooled_ND))
        return terms


class AdmittedlyBlind(Blind):
    learns_pairs = False


class Taught(Good):
    """The distance ``||f(v) - T(u)||^2`` to a frozen copy [N, D] (Name et al. 2020)."""

    teacher: FrozenCopy

    def setup(self, encoder: Any) -> None:
        self.teacher = FrozenCopy(encoder)

    def terms(self, batch: Any) -> dict[str, Term]:
        wanted_ND = batch.through(self.teacher).source.pooled()
        away_ND = batch.target.pooled() - wanted_ND
        return {"distance": Term(away_ND.square().sum(), len(away_ND))}


class OnTheTask(Good):
    """The distance ``||u - v||^2`` [N, D] of examples and translations (Name et al. 2020)."""

    needs = frozenset({"task", "translated_task"})
    phases = frozenset({"during"})

    def terms(self, batch: Any) -> dict[str, Term]:
        task = batch.task
        away_ND = task.view.pooled() - task.translated.pooled()
        certain = task.logits(task.view).log_softmax(-1).exp().square().sum()
        return {
            "distance": Term(away_ND.square().sum(), len(away_ND)),
            "certain": Term(certain, len(task.labels)),
        }


class Linked(Good):
    """The distance ``||x - y||^2`` of linked words [K, D] (Name et al. 2020)."""

    needs = frozenset({"pairs", "links"})

    def terms(self, batch: Any) -> dict[str, Term]:
        row, word, other = batch.links.unbind(1)
        away_KD = batch.source.words()[row, word] - batch.target.words()[row, other]
        return {"words": Term(away_KD.square().sum(), len(row))}
