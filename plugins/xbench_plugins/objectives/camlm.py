"""CAMLM: masked words are predicted from the translation alone."""

from typing import Any, ClassVar

from torch import Tensor

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.cross_attention import cross_attention
from xbench_plugins.losses.masked_lm import masked_lm


def from_the_translation(view: Any) -> Tensor:
    """[B, T, T] bool, the attention rule for a masked view of a pair as one input."""
    return cross_attention(view.sides, view.chosen)


class CAMLM(Objective):
    """Cross-attention masked language modelling on the pair as one input.

    ``-1/M (sum_(i in M_x) log p(x_i | y) + sum_(j in M_y) log p(y_j | x))``: M = |M_x| + |M_y|
    masked positions, logits [M, V]. Mean over the masked positions of both sentences. Unlike TLM,
    which may answer from the sentence itself, this can only be learnt by reading the translation.

    The rule of attention [B, T, T], which holds in every layer: a chosen word sees itself and the
    other sentence's words; all other words see those of their own sentence; chosen words are seen
    by nobody else; ``<s>`` and ``</s>`` are seen by all and see each other only. So at any depth a
    prediction depends on the other sentence, on the position, and on what the word itself was
    replaced with (in one of ten cases that is the word, as in BERT), and on nothing else: were y to
    see x, x would come back in the second layer. The paper draws attention for the masked words;
    how it keeps the second layer tight is not said, and this is a reconstruction.

    Source: Ouyang et al. 2021, *ERNIE-M* (arXiv 2012.15674), the section
    "Cross-attention Masked Language Modeling".
    """

    version = 1
    needs: ClassVar[frozenset[str]] = frozenset({"pairs"})

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``camlm``, counted in masked positions."""
        read = batch.joint.masked.attending(from_the_translation)
        return {"camlm": Term(*masked_lm(read))}
