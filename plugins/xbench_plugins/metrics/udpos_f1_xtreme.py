"""XTREME's score for POS tagging: span F1 on tags that are not spans."""

from collections.abc import Sequence

import numpy as np

from xbench.api.metric import Floats, Metric
from xbench_plugins.metrics.pairing import check_pairing


class UdposF1Xtreme(Metric):
    """Micro-averaged span F1 of seqeval on raw UPOS tags, as XTREME (Hu et al. 2020) computes it.

    It is not accuracy: DET NOUN NOUN VERB PROPN PROPN INTJ SCONJ with one PROPN wrong scores
    10/13 = .769, where 7 of the 8 tags are right. Never compare one with the other.

    seqeval reads a tag as a chunk prefix (the first letter) and a type (the rest). So equal
    neighbours are one span, but tags in S never join (S is a prefix for single tokens), CCONJ and
    SCONJ are the same type and count as right for each other, and X at the end of a sentence is no
    span at all. XTREME asks for no version of seqeval: older ones took the whole tag as the type
    and had none of the oddities of CCONJ and X, so that published figures may differ a little.

    Spans are taken sentence by sentence. seqeval itself lets a sentence that begins with X inherit
    the start of the span before it, so that its score depends on the order of the sentences; on
    all other input the two agree, but that seqeval has 0 where there is no span and this has NaN.
    """

    def items(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Floats:
        """``[n, 3]``: spans right, spans in gold, spans predicted."""
        check_pairing(gold, predicted)
        contributions = [
            (len(right & guess), len(right), len(guess))
            for right, guess in zip(map(_spans, gold), map(_spans, predicted), strict=True)
        ]
        return np.array(contributions, dtype=np.float64).reshape(-1, 3)

    def aggregate(self, sums: Floats) -> Floats:
        """``[..., 3] -> [...]``: 2 right / (gold + predicted), from 0 to 1; NaN without spans."""
        right, gold, predicted = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
        spans = gold + predicted
        value: Floats = np.divide(
            2 * right, spans, out=np.full_like(spans, np.nan), where=spans > 0
        )
        return value


def _spans(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """(type, first word, last word) of each span of a sentence, as seqeval's ``get_entities`` has them."""
    found: set[tuple[str, int, int]] = set()
    prefix, kind, start = "O", "", 0
    for place, tag in enumerate([*tags, "O"]):
        after, type_after = tag[0], tag[1:].partition("-")[2] or tag[1:] or "_"
        differs = kind != type_after
        if (
            prefix in "ES"
            or (prefix in "BI" and after in "BSO")
            or (differs and prefix not in "O.")
        ):
            found.add((kind, start, place - 1))
        if after in "BS" or (prefix in "ESO" and after in "EI") or (differs and after not in "O."):
            start = place
        prefix, kind = after, type_after
    return found
