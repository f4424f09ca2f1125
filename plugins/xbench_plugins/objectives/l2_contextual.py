"""Contextual alignment: linked words get the same vector, and one language stays in its place."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from xbench.api.batch import PairBatch, View
from xbench.api.copies import FrozenCopy
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.squared_distance import squared_distances
from xbench_plugins.losses.word_links import one_to_one


class L2Contextual(Objective):
    """Squared distance of linked words, with one language tied to where it was before training.

    With f(i, x) [D] the vector of word i of x, f_0 that of the untouched encoder, and y the
    anchored language,

    ``sum_(i,j) ||f(i, x) - f(j, y)||^2 + lambda sum_j ||f(j, y) - f_0(j, y)||^2``

    over the K links (i, j) of the batch and over all words j of its y, linked or not. With
    ``frame`` the first and the last token of both sentences count as linked words. The terms are
    ``alignment``, which pulls translations together in context, and ``regulariser``, without which
    all vectors could fall onto one point.

    Normalisation. ``reduction="sum"``, the paper's: squared norms, summed over links (and words),
    mean over the N sentence pairs; this is the paper's sum over the corpus divided by its size.
    ``reduction="mean"``, as code with ``mse_loss`` has it: each term is the mean over its own items
    and over the D dimensions. They differ by more than a factor: under ``mean`` the few links weigh
    as much as the many words of the regulariser.

    ``target="both"`` moves both languages; ``frozen`` takes ``f_0(j, y)`` as the target of the
    alignment too. The paper also leaves out links between equal words, which is not done here.

    Sources: Cao, Kitaev and Klein 2020, *Multilingual Alignment of Contextual Word
    Representations* (arXiv 2002.03518), the objective L + lambda R of its method section. Code:
    github.com/pefimov/cross-lingual-adjustment (Efimov et al. 2023), variant ``efimov``.
    """

    version = 1
    needs: ClassVar[frozenset[str]] = frozenset({"pairs", "links"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Which words are compared, with what, and how distances are added up."""

        target: Literal["both", "frozen"] = "both"
        reduction: Literal["sum", "mean"] = "sum"
        regulariser: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0  # lambda
        anchored_side: Literal["source", "target"] = "target"  # y
        subword: Literal["last", "first", "mean"] = "last"
        depth: Annotated[float, Field(ge=0, le=1)] = 1.0
        frame: bool = True
        one_to_one: bool = True  # leaves out links of words that have another

    sources: ClassVar[Mapping[str, str]] = {
        "target": "paper; alternative frozen, from reproductions",
        "reduction": "paper; alternative mean (code: Efimov)",
        "regulariser": "paper",
        "anchored_side": "reconstruction: the paper's is English; here the second of a pair",
        "subword": "paper; alternative mean (code: Efimov)",
        "depth": "paper",
        "frame": "code: Efimov",
        "one_to_one": "paper",
    }

    variants: ClassVar[Mapping[str, Config]] = {
        "cao": Config(),
        "efimov": Config(reduction="mean", subword="mean"),
        "frozen": Config(target="frozen"),
    }

    config: Config
    start: FrozenCopy

    def setup(self, encoder: nn.Module) -> None:
        """Keeps a copy of the encoder as it is before training, where it is read."""
        if self.config.regulariser or self.config.target == "frozen":
            self.start = FrozenCopy(encoder)

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``alignment`` and, unless its weight is 0, ``regulariser``."""
        moving, anchored = self._sides(batch)
        row_K, word_K, anchor_K = self._links(batch).unbind(1)
        x_KD = self._vectors(moving, row_K, word_K)
        fixed = self._sides(batch.through(self.start))[1] if hasattr(self, "start") else anchored
        goal = fixed if self.config.target == "frozen" else anchored
        pairs = len(moving.ids)
        found = {"alignment": self._term(x_KD, self._vectors(goal, row_K, anchor_K), 1.0, pairs)}
        if self.config.regulariser:
            every_J2 = anchored.word_mask.nonzero(as_tuple=True)
            now_JD, then_JD = (self._vectors(view, *every_J2) for view in (anchored, fixed))
            found["regulariser"] = self._term(now_JD, then_JD, self.config.regulariser, pairs)
        return found

    def _sides(self, batch: PairBatch) -> tuple[View, View]:
        """(the view of x, the view of y)."""
        if self.config.anchored_side == "target":
            return batch.source, batch.target
        return batch.target, batch.source

    def _links(self, batch: PairBatch) -> Tensor:
        """[K, 3] (row, word of x, word of y)."""
        links_K3 = one_to_one(batch.links) if self.config.one_to_one else batch.links
        return links_K3 if self.config.anchored_side == "target" else links_K3[:, [0, 2, 1]]

    def _vectors(self, view: View, row_K: Tensor, word_K: Tensor) -> Tensor:
        """[K, D] the words asked for and, below them, the frame: [K + 2N, D]."""
        depth = self.config.depth
        words_KD = view.words(depth, self.config.subword)[row_K, word_K]
        if not self.config.frame:
            return words_KD
        states_BTD = view.states(depth)
        every_B = torch.arange(len(states_BTD), device=states_BTD.device)
        last_B = view.attention_mask.sum(1) - 1
        return torch.cat([words_KD, states_BTD[:, 0], states_BTD[every_B, last_B]])

    def _term(self, a_KD: Tensor, b_KD: Tensor, weight: float, pairs: int) -> Term:
        total, count = squared_distances(a_KD, b_KD, self.config.reduction)
        return Term(weight * total, count if self.config.reduction == "mean" else pairs)
