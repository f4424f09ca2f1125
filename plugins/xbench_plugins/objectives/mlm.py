"""MLM: masked language modelling on both sides of the parallel text, each by itself."""

from typing import ClassVar

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.masked_lm import masked_lm


class MLM(Objective):
    """Masked words are predicted from their own sentence: no signal passes between languages.

    ``-1/M sum_m log p(w_m | x~)`` over the M masked positions of all sentences, those of the source
    and those of the target, logits [M, V]. Mean over the masked positions of both sides together,
    so that a masked word counts the same in a long sentence and in a short one. It pulls nothing
    together: it is training on the same text without alignment. How much is masked is the setting
    ``align.mlm_probability``.

    Source: Devlin et al. 2019, *BERT* (arXiv 1810.04805), section 3.1, in words.
    """

    version = 1
    needs: ClassVar[frozenset[str]] = frozenset({"pairs"})
    learns_pairs: ClassVar[bool] = False  # each sentence is predicted from itself

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``mlm``, counted in masked positions."""
        parts = [masked_lm(view.masked) for view in (batch.source, batch.target)]
        (source, of_source), (target, of_target) = parts
        return {"mlm": Term(source + target, of_source + of_target)}
