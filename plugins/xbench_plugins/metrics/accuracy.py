"""Accuracy."""

from collections.abc import Sequence

import numpy as np

from xbench.api.metric import Floats, Metric
from xbench_plugins.metrics.pairing import check_pairing


class Accuracy(Metric):
    """Share of labels predicted right, pooled over all items (micro average).

    At token level every word counts once, so that long sentences weigh more; at sentence level an
    item has a single label. NaN without labels.
    """

    def items(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Floats:
        """``[n, 2]``: labels right, labels."""
        check_pairing(gold, predicted)
        contributions = [
            (sum(map(str.__eq__, right, guess)), len(right))
            for right, guess in zip(gold, predicted, strict=True)
        ]
        return np.array(contributions, dtype=np.float64).reshape(-1, 2)

    def aggregate(self, sums: Floats) -> Floats:
        """``[..., 2] -> [...]``: right / all, from 0 to 1."""
        right, every = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
        value: Floats = np.divide(right, every, out=np.full_like(every, np.nan), where=every > 0)
        return value
