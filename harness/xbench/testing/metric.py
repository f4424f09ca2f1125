"""What a metric must keep to."""

import random
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from xbench.api.metric import Floats, Metric
from xbench.testing.contract import expect
from xbench.testing.definition import Documented

Labels = list[list[str]]
GUESSES = 20


class MetricContract(Documented):
    """``class TestMine(MetricContract): metric = "mine"``.

    ``labels`` are what items are labelled with, two to six of them in an item; override them where
    the metric expects others.
    """

    kind = "metric"
    group = "metrics"
    metric: ClassVar[str | type[Metric]]
    labels: ClassVar[tuple[str, ...]] = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

    def test_items(self) -> None:
        """Each item has finite contributions of its own, whatever the others are."""
        metric, (gold, guess) = self._metric(), self._answers()
        found = metric.items(gold, guess)
        expect(
            isinstance(found, np.ndarray)
            and found.dtype == np.float64
            and found.ndim == 2
            and len(found) == len(gold),
            f"items() of {len(gold)} items gives {_shape(found)}",
            "return a float64 array [n, k]: one row for each item",
        )
        expect(
            np.isfinite(found).all(),
            "a contribution is not finite",
            "count (right, all, ...) here, and divide in aggregate()",
        )
        alone = [
            metric.items([right], [answer])[0] for right, answer in zip(gold, guess, strict=True)
        ]
        expect(
            np.array_equal(found, np.array(alone)),
            "an item contributes something else when it is alone",
            "contributions are added up over any choice of items (that is how intervals are made): "
            "each must depend on its own item only",
        )

    def test_aggregate(self) -> None:
        """Many sums at once give what each of them gives."""
        metric, (gold, guess) = self._metric(), self._answers()
        items = metric.items(gold, guess)
        sums = np.stack([items[:4].sum(0), items.sum(0), items[5:].sum(0)])
        each = np.array([float(metric.aggregate(row)) for row in sums])
        together = np.asarray(metric.aggregate(sums))
        nested = np.asarray(metric.aggregate(sums[None]))
        expect(
            together.shape == (3,)
            and nested.shape == (1, 3)
            and np.allclose(together, each)
            and np.allclose(nested[0], each),
            f"aggregate() of sums [3, k] gives {together}, and one by one {each}",
            "compute along the last axis: sums[..., 0] / sums[..., 1]",
        )

    def test_best(self) -> None:
        """Nothing scores better than perfect answers, and some guesses score worse."""
        metric, (gold, _) = self._metric(), self._answers()
        perfect = self._score(metric, gold, gold)
        guesses = np.array(
            [self._score(metric, gold, self._guess(gold, n)) for n in range(GUESSES)]
        )
        sign = 1 if metric.higher_is_better else -1
        expect(
            np.isfinite(perfect)
            and (sign * perfect >= sign * guesses).all()
            and np.any(perfect != guesses),
            f"perfect answers score {perfect:.4g}, guesses {guesses.min():.4g} to {guesses.max():.4g}",
            "check the formula, and higher_is_better where lower is better",
        )

    def test_order(self) -> None:
        """The order of the items changes nothing."""
        metric, (gold, guess) = self._metric(), self._answers()
        backwards = self._score(metric, gold[::-1], guess[::-1])
        expect(
            np.isclose(self._score(metric, gold, guess), backwards),
            "the score is another with the items in reverse",
            "let each item's contributions depend on that item only",
        )

    def test_nothing(self) -> None:
        """Without any item the value is NaN, and nothing is raised."""
        metric, (gold, guess) = self._metric(), self._answers()
        none = metric.items([], [])
        width = metric.items(gold, guess).shape[1]
        expect(
            none.shape == (0, width),
            f"items() of nothing gives {_shape(none)}, expected [0, {width}]",
            f"np.array(contributions, dtype=np.float64).reshape(-1, {width})",
        )
        value = np.asarray(metric.aggregate(none.sum(0)))
        expect(
            value.shape == () and np.isnan(value),
            f"the value of no items is {value}",
            "return NaN where it is undefined: np.divide(a, b, out=np.full_like(b, np.nan), where=b > 0)",
        )

    def _metric(self) -> Metric:
        metric: Metric = self.loaded(self.labels)
        return metric

    def _answers(self) -> tuple[Labels, Labels]:
        """(gold, a guess) of twelve items."""
        stream = random.Random(1)
        gold = [stream.choices(self.labels, k=stream.randint(2, 6)) for _ in range(12)]
        return gold, self._guess(gold, 0)

    def _guess(self, gold: Labels, seed: int) -> Labels:
        """Every third item is right; of the others a label in three or so is another."""
        stream = random.Random(100 + seed)
        return [
            [
                stream.choice(self.labels) if number % 3 and stream.random() < 0.4 else label
                for label in item
            ]
            for number, item in enumerate(gold)
        ]

    def _score(self, metric: Metric, gold: Labels, guess: Labels) -> float:
        return float(metric.aggregate(metric.items(gold, guess).sum(0)))


def _shape(found: Floats | Sequence[object]) -> str:
    if not isinstance(found, np.ndarray):
        return f"a {type(found).__name__}"
    return f"{found.dtype} {list(found.shape)}"
