"""A claim about alignment and transfer, as a check that any run can answer.

A claim says which effects it is about and in which direction each must go. The harness tests them,
all with the same level and one correction, and says supported, contradicted or undecided.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import pandas as pd

Expected = Literal["above", "below", "within", "beyond"]
"""Where an effect must lie: above or below 0, within the margin around 0, or on either side of it."""

UNTOUCHED = "none"
"""The untouched encoder among the names of encoders."""
SHUFFLED = "shuffled "
"""Before the name of an encoder: the same objective on wrongly paired sentences."""

Weights = Mapping[str, float]
"""Encoder -> its weight in a contrast. Encoders are ``OBJECTIVE:VARIANT`` (``OBJECTIVE`` alone
where it has no variants), ``none``, and ``shuffled OBJECTIVE:VARIANT``."""


@dataclass(frozen=True)
class Average:
    """A score averaged over languages, with its weight in a contrast.

    Over ``languages``, by default all that the run evaluates in, and over the pairs that encoders
    were aligned on.
    """

    weight: float
    task: str
    mode: str
    encoder: str
    languages: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Effect:
    """A mean effect with its standard error, of which tests and intervals are Student's.

    ``error`` is the standard error and ``freedom`` its degrees of freedom; None where there is no
    spread to estimate. ``n`` is the number of ``unit`` that it rests on, such as ``fine-tuning
    seeds``, and ``test`` names the test. The error of a ``correlation`` is that of its Fisher
    transform. ``value`` is None where there is no effect to speak of. ``reason`` says what is
    lacking, and what would give it; beside an error it is a caution.
    """

    value: float | None
    error: float | None = None
    freedom: float | None = None
    n: int = 0
    unit: str = ""
    test: str = ""
    correlation: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Part:
    """One of the effects that a claim is about: all of them must be where they are expected.

    ``margin`` is up to where an effect is none to speak of, for ``within`` and ``beyond``.
    ``percent``: a share, shown in percentage points.
    """

    about: str
    effect: Effect
    expected: Expected = "above"
    margin: float = 0.0
    percent: bool = False

    def __post_init__(self) -> None:
        if self.expected == "within" and self.margin <= 0:
            raise ValueError(f"{self.about}: 'within' needs a margin above 0, got {self.margin}")


class ClaimView(Protocol):
    """A run as claims see it. Nothing here raises for data that a run lacks.

    Where something is lacking, an :class:`Effect` has no value and says why, and a mapping is empty.
    """

    @property
    def frame(self) -> "pd.DataFrame":
        """A copy of the tidy results, one row per measured value."""
        ...

    @property
    def source(self) -> str | None:
        """The language that tasks are learnt in."""
        ...

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The suite's named groups of language pairs, as ``deu-eng``."""
        ...

    @property
    def scripts(self) -> Mapping[str, str]:
        """Language -> script, where it is known."""
        ...

    @property
    def encoders(self) -> tuple[str, ...]:
        """All names that :data:`Weights` may have in this run."""
        ...

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs that encoders were aligned on."""
        ...

    def scores(
        self, task: str, mode: str, encoder: str
    ) -> Mapping[tuple[str | None, str, int], float]:
        """(aligned pair, language, fine-tuning seed) -> score, the mean over alignment seeds.

        The untouched encoder has no pair.
        """
        ...

    def contrast(self, averages: Sequence[Average]) -> Effect:
        """``sum_k weight_k average_k``, one value per fine-tuning seed: a paired t test over seeds.

        With several alignment seeds, over both kinds of seeds; with one, scores of aligned encoders
        in mode ``linear`` alone are not tested: seeds vary a head on the same frozen encoder. Over
        the pairs that all aligned encoders among them have. A gap in any average leaves no effect,
        and the reason says which.
        """
        ...

    def measured(
        self,
        probe: str,
        metric: str,
        weights: Weights,
        depth: float | None = None,
        task: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> Mapping[str, float]:
        """Language, or pair as ``deu-eng`` -> ``sum_v weight_v value_v`` of a probe's metric.

        Of encoders before fine-tuning, ``task`` that whose head was fitted. The value of a name is
        the mean over the aligned ``pairs`` (default: all) and alignment seeds. ``depth`` is
        relative: the measured layer nearest to it; without one, what is of no layer.
        """
        ...

    def association(
        self, task: str, mode: str, probe: str, metric: str, depth: float | None = None
    ) -> Effect:
        """Spearman's correlation of a measure's change with the score's, languages as clusters."""
        ...

    def over(self, values: Sequence[float], unit: str) -> Effect:
        """The mean of independent values, each of one ``unit``, such as the changes of languages."""
        ...

    def over_pairs(
        self, first: Mapping[str, float], second: Mapping[str, float] | None = None
    ) -> Effect:
        """The mean over pairs of languages (``deu-eng`` -> value), or ``first``'s less ``second``'s.

        Pairs that share a language are no independent values: the error has the variance of
        languages in it.
        """
        ...

    def over_seeds(
        self,
        measure: "Callable[[ClaimView], Mapping[int, float]]",
        modes: Sequence[str],
        lacking: str,
    ) -> Effect:
        """The mean of what is measured once per fine-tuning seed, in each alignment by itself.

        ``measure`` is called with a view of the run for each alignment seed, which has that seed's
        scores alone, and gives fine-tuning seed -> value from scores of these ``modes``;
        ``lacking`` is the reason where it gives none. Tested like :meth:`contrast`.
        """
        ...

    def between(self, first: Sequence[float], second: Sequence[float], unit: str) -> Effect:
        """The mean of the first values less that of the second, of independent groups (Welch)."""
        ...


class Claim:
    """Says which effects it is about, and in which direction each must go.

    ``statement`` is one sentence; ``source`` says where it is made. Claims are checked when a report
    is written: nothing of them is in any key, and they have no settings.
    """

    statement: ClassVar[str] = ""
    source: ClassVar[str] = ""

    def check(self, view: ClaimView) -> Iterable[Part]:
        """The parts of the claim. It is supported where every one of them is."""
        raise NotImplementedError

    def remarks(self, view: ClaimView) -> Iterable[str]:
        """Sentences that a reader of the verdict needs, such as how many of the pairs gained."""
        return ()
