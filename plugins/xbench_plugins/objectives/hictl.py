"""HiCTL: hierarchical contrastive learning on sentence and word level, with masked LM."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from xbench.api.batch import PairBatch, View
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.contrastive import Similarity, nt_xent, nt_xent_of
from xbench_plugins.losses.hard_negatives import smoothed_similarities
from xbench_plugins.losses.masked_lm import masked_lm
from xbench_plugins.losses.word_bag import (
    Words,
    bag_of_words,
    compact,
    sample_outside,
    word_bag_loss,
)

Switch = Literal[0, 1]
Depth = Annotated[float, Field(ge=0, le=1)]


class HiCTL(Objective):
    """Sentence contrast + word contrast + masked LM, each switched on or off (S, W, M).

    With N pairs (x_i, y_i), similarity s (cosine) and temperature T the loss is the sum of

    *sentence*: NT-Xent over the 2N pooled sentence vectors z [2N, D] at ``depth``,
    ``-log exp(s(z_i, z_p(i)) / T) / sum_{k != i} exp(s(z_i, z_k) / T)``, mean over the 2N anchors.
    It pulls translations together and pushes all other sentences of the batch, of either language,
    away.

    *word*: q_i [D] stands for the pair, B_i is the bag of its words, E [V, D] the input
    word embeddings, S_i a sample of the vocabulary outside B_i without special tokens,
    ``-log exp(s(q_i, E_t) / T) / (exp(s(q_i, E_t) / T) + sum_{w in S_i} exp(s(q_i, E_w) / T))``,
    mean over t in B_i, then mean over the N pairs. It pulls the pair's vector and the static
    embeddings of its words together; E is shared with the masked LM's output layer.

    *mlm*: cross-entropy at masked positions of both sentences (``each``) or of the concatenated
    pair (``joint``), mean over the masked positions.

    The bag is always that of the unmasked text; ``share_masked_forward`` computes the contrasts'
    vectors from the masked inputs, as TransliCo's code does, which saves the unmasked forward pass.
    A term whose count is zero (no position was masked) has the sum zero.

    Sources: Wei et al. 2021, *On Learning Universal Representations Across Languages*
    (arXiv 2007.15960), as varied in *Why Better Cross-Lingual Alignment Fails for Better
    Cross-Lingual Transfer* (arXiv 2603.18863), which describes the losses in words: the formulas
    above are a reconstruction. NT-Xent: Chen et al. 2020, equation 1. TransliCo's code:
    github.com/cisnlp/TransliCo.
    """

    version = 1
    needs = frozenset({"pairs"})
    coupled = frozenset({"sentence"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Which terms are on, and how they are computed; ``HiCTL.sources`` has the origins."""

        sentence: Switch = 1
        word: Switch = 1
        mlm: Switch = 1
        temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
        similarity: Similarity = "cosine"
        pooling: Literal["mean", "cls"] = "mean"  # of the sentence term, with depth
        depth: Depth = 2 / 3  # 0 is the embedding output, 1 the last layer
        query: Literal["mean_of_joint", "cls_of_joint", "mean_of_both"] = "mean_of_joint"
        query_depth: Depth = 1.0
        bag: Literal["set", "multiset"] = "set"
        exclude_special: bool = True  # of the bag; negatives are never special tokens
        negatives: Annotated[int, Field(ge=1)] = 1024  # per pair; at most what the vocabulary has
        negative_sampler: Literal["uniform"] = "uniform"
        detach_embeddings: bool = False  # true: E is a fixed target
        mlm_input: Literal["each", "joint"] = "each"
        share_masked_forward: bool = False
        smoothed_hard_negatives: bool = False
        zeta: Annotated[float, Field(gt=0, lt=1)] = 0.9

        @model_validator(mode="after")
        def _some_term_is_on(self) -> Self:
            if not (self.sentence or self.word or self.mlm):
                raise ValueError("sentence, word and mlm are all 0: switch on at least one of them")
            return self

    sources: ClassVar[Mapping[str, str]] = {
        "sentence": "paper",
        "word": "paper",
        "mlm": "paper",
        "temperature": "reconstruction (guess): alternatives 0.05, 0.2; TransliCo's code has 1.0",
        "similarity": "paper",
        "pooling": "code: TransliCo; alternative cls (original HiCTL)",
        "depth": "code: TransliCo (layer 8 of 12); alternative 1",
        "query": "reconstruction (guess): alternatives cls_of_joint (original HiCTL), mean_of_both",
        "query_depth": "reconstruction (guess): alternative 2/3",
        "bag": "reconstruction (guess): alternative multiset",
        "exclude_special": "reconstruction (guess): alternative false",
        "negatives": "reconstruction (guess): alternatives 256, 2048",
        "negative_sampler": "reconstruction (guess): alternatives, not offered: by frequency, by "
        "nearness in context",
        "detach_embeddings": "reconstruction (guess): alternative true",
        "mlm_input": "code: TransliCo; alternative joint (translation language modelling)",
        "share_masked_forward": "reconstruction (guess): alternative true (TransliCo's code)",
        "smoothed_hard_negatives": "reconstruction (guess): alternative true (original HiCTL)",
        "zeta": "reconstruction (guess): matters only to smoothed_hard_negatives",
    }

    # The order of the study's tables; the first is also the one that a default run shuffles.
    variants: ClassVar[Mapping[str, Config]] = {
        "S1W0M0": Config(sentence=1, word=0, mlm=0),
        "S0W1M0": Config(sentence=0, word=1, mlm=0),
        "S0W0M1": Config(sentence=0, word=0, mlm=1),
        "S1W1M0": Config(sentence=1, word=1, mlm=0),
        "S1W0M1": Config(sentence=1, word=0, mlm=1),
        "S0W1M1": Config(sentence=0, word=1, mlm=1),
        "S1W1M1": Config(sentence=1, word=1, mlm=1),
    }

    config: Config
    success: Tensor

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._losses_of_step: list[Tensor] = []
        if self.config.smoothed_hard_negatives:
            # exp(-loss) of the last 100 steps, latest first; 0 stands for steps not yet made
            self.register_buffer("success", torch.zeros(100))

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """The terms that are switched on. Counts: 2N anchors, N pairs, masked positions."""
        parts = {"sentence": self._sentence, "word": self._word, "mlm": self._mlm}
        return {
            name: Term(*part(batch)) for name, part in parts.items() if getattr(self.config, name)
        }

    @torch.no_grad()
    def after_step(self, encoder: nn.Module, step: int) -> None:
        """Remembers how likely this step's partners were (smoothed hard negatives only)."""
        if self._losses_of_step:
            self.success.copy_(self.success.roll(1))
            self.success[0] = torch.stack(self._losses_of_step).mean().neg().exp()
            self._losses_of_step.clear()

    def _sentence(self, batch: PairBatch) -> tuple[Tensor, int]:
        config = self.config
        u_ND, v_ND = (
            self._read(view).pooled(config.depth, config.pooling)
            for view in (batch.source, batch.target)
        )
        if not config.smoothed_hard_negatives:
            return nt_xent(u_ND, v_ND, config.temperature, config.similarity)
        exponent = config.zeta * self.success.mean()
        smoothed_KK = smoothed_similarities(torch.cat([u_ND, v_ND]), exponent, config.similarity)
        total, count = nt_xent_of(smoothed_KK, config.temperature)
        if self.training:
            self._losses_of_step.append(total.detach() / count)
        return total, count

    def _word(self, batch: PairBatch) -> tuple[Tensor, int]:
        config = self.config
        bag = self._bag(batch)
        negatives = sample_outside(
            bag,
            batch.vocabulary.special_ids,
            batch.vocabulary.size,
            config.negatives,
            batch.generator,
        )
        words_U, positives, negatives = compact(bag, negatives)
        vectors_UD = batch.embeddings(words_U)
        if config.detach_embeddings:
            vectors_UD = vectors_UD.detach()
        return word_bag_loss(
            self._query(batch),
            vectors_UD,
            positives,
            negatives,
            config.temperature,
            config.similarity,
        )

    def _mlm(self, batch: PairBatch) -> tuple[Tensor, int]:
        joint = self.config.mlm_input == "joint"
        views = [batch.joint] if joint else [batch.source, batch.target]
        sums, counts = zip(*(masked_lm(view.masked) for view in views), strict=True)
        return torch.stack(sums).sum(), sum(counts)

    def _read(self, view: View) -> View:
        """The text from which the contrasts' vectors come: masked, or as it is."""
        return view.masked if self.config.share_masked_forward else view

    def _bag(self, batch: PairBatch) -> Words:
        views = (batch.source, batch.target)
        ids_NL = torch.cat([view.ids for view in views], dim=1)
        mask_NL = torch.cat(
            [
                view.content_mask if self.config.exclude_special else view.attention_mask
                for view in views
            ],
            dim=1,
        )
        return bag_of_words(ids_NL, mask_NL, distinct=self.config.bag == "set")

    def _query(self, batch: PairBatch) -> Tensor:
        """[N, D] the pairs' vectors: of the concatenation, or the mean of the two sentences'."""
        depth = self.config.query_depth
        if self.config.query == "mean_of_both":
            u_ND, v_ND = (
                self._read(view).pooled(depth, "mean") for view in (batch.source, batch.target)
            )
            return (u_ND + v_ND) / 2
        how = self.config.query.removesuffix("_of_joint")
        return self._read(batch.joint).pooled(depth, how)
