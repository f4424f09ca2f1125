"""Macro-averaged F1."""

from collections.abc import Sequence

import numpy as np

from xbench.api.metric import Floats, Metric
from xbench_plugins.metrics.pairing import check_pairing


class MacroF1(Metric):
    """Unweighted mean over classes of F1 = 2 tp / (2 tp + fp + fn).

    A class that occurs neither in gold nor in the predictions is left out of the mean, as
    ``sklearn.metrics.f1_score(average="macro")`` does when it is not given ``labels`` (given them,
    it counts such a class as 0). A class that occurs but is never right counts as 0 in both.
    In a bootstrap the mean is thus over the classes that the resample holds. NaN without labels.
    """

    def items(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Floats:
        """``[n, 3 C]``: true positives of each of the C classes, then false positives, negatives.

        Raises ``ValueError`` at a label that the task does not have.
        """
        check_pairing(gold, predicted)
        place = {label: position for position, label in enumerate(self.labels)}
        counts = np.zeros((len(gold), 3, len(self.labels)))
        try:
            for item, right, guess in zip(counts, gold, predicted, strict=True):
                for wanted, found in zip(right, guess, strict=True):
                    if wanted == found:
                        item[0, place[wanted]] += 1
                    else:
                        item[1, place[found]] += 1
                        item[2, place[wanted]] += 1
        except KeyError as missing:
            raise ValueError(
                f"unknown label {missing}; the task has {', '.join(self.labels)}"
            ) from None
        return counts.reshape(len(gold), 3 * len(self.labels))

    def aggregate(self, sums: Floats) -> Floats:
        """``[..., 3 C] -> [...]``: the mean F1, from 0 to 1."""
        sums = np.asarray(sums, dtype=np.float64)
        hits, false, missed = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, 0)
        weight = 2 * hits + false + missed
        f1 = np.divide(2 * hits, weight, out=np.zeros_like(hits), where=weight > 0)
        classes = (weight > 0).sum(axis=-1)
        total = f1.sum(axis=-1)
        value: Floats = np.divide(
            total, classes, out=np.full_like(total, np.nan), where=classes > 0
        )
        return value
