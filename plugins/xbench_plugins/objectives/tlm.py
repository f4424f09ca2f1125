"""TLM: masked language modelling on a sentence and its translation as one input."""

from typing import ClassVar

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.masked_lm import masked_lm


class TLM(Objective):
    """Masked words are predicted from both sentences of a pair.

    ``-1/M sum_m log p(w_m | x~, y~)``, where (x~, y~) is the pair as one input with words of both
    sentences masked and M the number of masked positions, logits [M, V]. Mean over the masked
    positions of the batch. Where its own sentence leaves a word open the translation settles it,
    and so the encoder learns to attend across languages; no vectors are pulled together.

    The input is the tokenizer's pair format, ``<s> x </s></s> y </s>`` for XLM-R (unilm's code for
    InfoXLM puts one ``</s>`` between). Positions run on over both sentences and there are no
    language embeddings, as in XLM-R; XLM itself starts the positions of y at 0 again, which is not
    offered. How much is masked is the setting ``align.mlm_probability``.

    Source: Conneau and Lample 2019, *Cross-lingual Language Model Pretraining* (arXiv 1901.07291),
    the section "Translation Language Modeling", which has no equation; the loss is that of BERT
    (Devlin et al. 2019, section 3.1).
    """

    version = 1
    needs: ClassVar[frozenset[str]] = frozenset({"pairs"})

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``tlm``, counted in masked positions."""
        return {"tlm": Term(*masked_lm(batch.joint.masked))}
