"""Claims that changes of an alignment measure do not predict changes of scores."""

from collections.abc import Iterable
from typing import ClassVar

from xbench.api.claim import Claim, ClaimView, Part
from xbench_plugins.claims import study

MARGIN = 0.3
"""A rank correlation below which a measure is of no use: less than a tenth of the variance."""


class _DoesNotPredict(Claim):
    """Spearman's correlation of a measure's change with the score's, within ±.3 in each (task, mode)."""

    probe: ClassVar[str]
    metric: ClassVar[str]

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each task and mode."""
        for task, mode in study.panels():
            effect = view.association(task, mode, self.probe, self.metric, study.MIDDLE)
            yield Part(f"{task}, {mode}", effect, "within", margin=MARGIN)


class DistanceDoesNotPredict(_DoesNotPredict):
    """Correlation of the change of sentences' distances with the change of scores, aligned less untouched.

    Cells are variants, pairs and target languages; languages are clusters. ``sentence_cosine_distance``
    at layer 8 of 12. No association is a claim too: the interval must lie within ±.3.
    """

    statement: ClassVar[str] = (
        "How far alignment brings translations together does not predict how much a score changes."
    )
    source: ClassVar[str] = f"{study.SOURCE}, claim C10"
    probe = "distances"
    metric = "sentence_cosine_distance"


class SimilarityDoesNotPredict(_DoesNotPredict):
    """Correlation of the change of retrieval (``top1_forward``) with the change of scores."""

    statement: ClassVar[str] = (
        "How much alignment improves retrieval of translations does not predict how much a score "
        "changes."
    )
    source: ClassVar[str] = f"{study.SOURCE}, proposition"
    probe = "retrieval"
    metric = "top1_forward"
