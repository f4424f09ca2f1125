"""Contrast between linked words: weak and strong alignment, and Gaschi's set of candidates."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from xbench.api.batch import PairBatch, View
from xbench.api.copies import FrozenCopy
from xbench.api.objective import Objective, Term
from xbench_plugins.heads import dense
from xbench_plugins.losses.contrastive import Contrast, Similarity, contrast
from xbench_plugins.losses.word_links import one_to_one


class WordContrastive(Objective):
    """Each linked word must find the word that translates it, by its contextual vector.

    K links (i, j) of the whole batch join the word vectors u_i [M, D] of the source and v_j [L, D]
    of the target; s is the cosine, t the temperature. With C_i the candidates of the word i,
    *words* is the mean over the 2K anchors (each link is one in both directions) of::

        -log e^(s(u_i, v_j) / t) / sum_{c in C_i} e^(s(u_i, c) / t)

    ``weak``: C_i are words of the other language; ``strong``: also those of its own, itself left
    out. ``candidates`` says which words: those that are linked, or all of the batch. Words
    are compared after the ``projection`` (D -> D, ReLU, D -> ``projection_size``, no biases), which
    belongs to the objective. It pulls linked words together and pushes all other candidates away.

    *regulariser*: ``regulariser`` times ``||theta - theta_0||_2`` over all trainable weights of the
    encoder together, not squared; theta_0 are those at the start. Its count is 1.

    Sources: Wu and Dredze 2020, *Do Explicit Alignments Robustly Improve Multilingual Encoders?*
    (arXiv 2010.02537), the weak and the strong alignment objective; code:
    github.com/shijie-wu/crosslingual-nlp. Gaschi et al. 2023, *Exploring the Relationship between
    Alignment and Cross-lingual Transfer* (arXiv 2306.02790); code:
    github.com/posos-tech/multilingual-alignment-and-transfer. Where all words are linked, both
    have the same loss. The former also leave out links between words that are the same.
    """

    version = 1
    needs = frozenset({"pairs", "links"})
    coupled = frozenset({"words"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Which words are compared, and how; ``WordContrastive.sources`` has the origins."""

        loss: Literal["weak", "strong"] = "weak"
        candidates: Literal["linked", "all"] = "linked"
        temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
        similarity: Similarity = "cosine"
        word_vector: Literal["first", "mean", "last"] = "first"  # of a word's subwords
        depth: Annotated[float, Field(ge=0, le=1)] = 1.0  # 0 is the embedding output
        one_to_one: bool = True  # false: words with several links keep them
        projection: Literal["two_layers", "none"] = "two_layers"
        projection_size: Annotated[int, Field(ge=1)] = 128
        regulariser: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0  # 0: none

    sources: ClassVar[Mapping[str, str]] = {
        "loss": "paper",
        "candidates": "code: crosslingual-nlp; alternative all (Gaschi)",
        "temperature": "code: crosslingual-nlp",
        "similarity": "code: crosslingual-nlp",
        "word_vector": "code: crosslingual-nlp; alternative mean (Gaschi)",
        "depth": "code: crosslingual-nlp",
        "one_to_one": "code: crosslingual-nlp",
        "projection": "code: crosslingual-nlp; alternative none (Gaschi)",
        "projection_size": "code: crosslingual-nlp",
        "regulariser": "code: crosslingual-nlp; alternative 0 (Gaschi)",
    }

    variants: ClassVar[Mapping[str, Config]] = {
        "weak": Config(),
        "strong": Config(loss="strong"),
        "gaschi": Config(
            loss="strong",
            candidates="all",
            word_vector="mean",
            projection="none",
            regulariser=0.0,
        ),
    }

    config: Config
    start: FrozenCopy

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.projection: nn.Module = nn.Identity()

    def setup(self, encoder: nn.Module) -> None:
        """Create the projection, and keep a copy of the encoder where a regulariser wants it."""
        if self.config.projection == "two_layers":
            self.projection = nn.Sequential(
                dense(encoder, bias=False),
                nn.ReLU(),
                dense(encoder, self.config.projection_size, bias=False),
            )
        if self.config.regulariser:
            self.start = FrozenCopy(encoder)

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``words`` with the count 2K, and ``regulariser`` with the count 1."""
        terms = {"words": Term(*self._words(batch))}
        if self.config.regulariser:
            away = self.config.regulariser * self._distance(batch)
            terms["regulariser"] = Term(away, 1)
        return terms

    def _words(self, batch: PairBatch) -> tuple[Tensor, int]:
        config = self.config
        links_K3 = one_to_one(batch.links) if config.one_to_one else batch.links
        row_K, first_K, second_K = links_K3.unbind(1)
        u_MD, first_K = self._candidates(batch.source, row_K, first_K)
        v_LD, second_K = self._candidates(batch.target, row_K, second_K)
        how = Contrast(
            config.temperature,
            config.similarity,
            same_language_negatives=config.loss == "strong",
        )
        return contrast(u_MD, v_LD, how, torch.stack([first_K, second_K], dim=1))

    def _candidates(self, view: View, row_K: Tensor, word_K: Tensor) -> tuple[Tensor, Tensor]:
        """Projected vectors of one side's candidates [M, D], and the row of each link's word [K]."""
        chosen_BW = view.word_mask
        if self.config.candidates == "linked":
            chosen_BW = torch.zeros_like(chosen_BW)
            chosen_BW[row_K, word_K] = True
        place_BW = (chosen_BW.flatten().cumsum(0) - 1).view(chosen_BW.shape)
        vectors_MD = view.words(self.config.depth, self.config.word_vector)[chosen_BW]
        return self.projection(vectors_MD), place_BW[row_K, word_K]

    def _distance(self, batch: PairBatch) -> Tensor:
        """The norm of the difference to the weights at the start; its gradient at 0 is 0."""
        start = dict(self.start.encoder.named_parameters())
        differences = [value - start[name] for name, value in batch.weights().items()]
        norms = torch.stack([torch.linalg.vector_norm(d) for d in differences])
        distance: Tensor = torch.linalg.vector_norm(norms)
        return distance
