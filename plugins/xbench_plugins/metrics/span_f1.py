"""Span F1."""

from collections.abc import Sequence

import numpy as np

from xbench.api.metric import Floats, Metric
from xbench_plugins.metrics.pairing import check_pairing

Span = tuple[str, int, int]


class SpanF1(Metric):
    """Micro-averaged F1 of whole spans, as ``seqeval.metrics.f1_score`` counts IOB2 tags by default.

    A span is right where its type, its first and its last word are. F1 = 2 right / (gold +
    predicted), over all spans of all types. A tag ``I-X`` that goes on with nothing (after ``O``,
    after another type, at the start of a sentence) begins a span, as in conlleval; seqeval's strict
    mode, which ignores such spans, is not this one. Where there is no span seqeval has 0 and this
    has NaN. Source: Tjong Kim Sang & De Meulder 2003 (CoNLL); https://github.com/chakki-works/seqeval.
    """

    def items(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Floats:
        """``[n, 3]``: spans right, spans in gold, spans predicted.

        Raises ``ValueError`` at a tag that is not ``O``, ``B-X`` or ``I-X``.
        """
        check_pairing(gold, predicted)
        contributions = [
            (len(right & guess), len(right), len(guess))
            for right, guess in zip(map(spans, gold), map(spans, predicted), strict=True)
        ]
        return np.array(contributions, dtype=np.float64).reshape(-1, 3)

    def aggregate(self, sums: Floats) -> Floats:
        """``[..., 3] -> [...]``: 2 right / (gold + predicted), from 0 to 1; NaN without spans."""
        right, gold, predicted = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
        every = gold + predicted
        value: Floats = np.divide(
            2 * right, every, out=np.full_like(every, np.nan), where=every > 0
        )
        return value


def spans(tags: Sequence[str]) -> set[Span]:
    """(type, first word, word after the last) of each span of a sentence."""
    found: set[Span] = set()
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, own = tag.partition("-")
        if tag != "O" and (prefix not in ("B", "I") or not own):
            raise ValueError(f"{tag!r} is no IOB2 tag; spans are tagged O, B-TYPE or I-TYPE")
        if kind and (prefix != "I" or own != kind):
            found.add((kind, start, place))
            kind = ""
        if own and not kind:
            kind, start = own, place
    return found
