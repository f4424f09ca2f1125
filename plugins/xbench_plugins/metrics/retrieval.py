"""Accuracy of retrieval, one direction at a time and both."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from xbench.api.metric import Floats, Metric
from xbench_plugins.metrics.pairing import check_pairing


class RetrievalAccuracy(Metric):
    """Share of sentences whose nearest neighbour is their translation; the mean of both directions.

    An item's labels are the places of what was looked for and found: from the source language's
    side, then from the other (retrieval@1, as in Artetxe & Schwenk 2019). XTREME has one direction
    only: compare its figures with ``tatoeba_accuracy_xtreme``.
    """

    directions: ClassVar[tuple[int, ...]] = (0, 1)

    def items(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Floats:
        """``[n, 2]``: right answers, and questions."""
        check_pairing(gold, predicted)
        contributions = [
            (sum(right[d] == guess[d] for d in self.directions), len(self.directions))
            for right, guess in zip(gold, predicted, strict=True)
        ]
        return np.array(contributions, dtype=np.float64).reshape(-1, 2)

    def aggregate(self, sums: Floats) -> Floats:
        """``[..., 2] -> [...]``: right / all, from 0 to 1; NaN without items."""
        right, every = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
        value: Floats = np.divide(right, every, out=np.full_like(every, np.nan), where=every > 0)
        return value


class RetrievalForward(RetrievalAccuracy):
    """Retrieval accuracy from the source language: its sentences look for their translations."""

    directions = (0,)


class RetrievalBackward(RetrievalAccuracy):
    """Retrieval accuracy into the source language: the other language's sentences look for theirs."""

    directions = (1,)


class TatoebaAccuracyXtreme(RetrievalForward):
    """Tatoeba accuracy in XTREME's direction, en->xx: English sentences look among the other language's.

    The code of XTREME (Hu et al. 2020, arXiv 2003.11080; ``third_party/utils_retrieve.py``,
    ``similarity_search``) makes vectors unit length, puts those of the other language into the
    index, and searches it with the English ones, exactly, by squared distance, which ranks as the
    cosine does. It reads the 8th of 12 layers, or the 14th of 24 (``evaluate.retrieval_depth``), and
    its mean takes ``<s>`` and ``</s>`` in, where ours is over content tokens.
    """


class TatoebaAccuracyXxToEn(RetrievalBackward):
    """Tatoeba accuracy xx->en: the other language's sentences look among the English ones.

    The direction that many papers report, and that XTREME's code does not compute.
    """
