"""Averages over languages and seeds that refuse to hide a gap.

The mean over languages is taken per seed, so that the spread over seeds is that of the number
shown. A part is averaged only where it was asked for, over a full rectangle: the languages that
every remaining seed has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from xbench.report.results import Block, Measurement
from xbench.report.table import Difference, Status
from xbench.stats import mean_sd, paired_t_interval


@dataclass(frozen=True)
class Average:
    """The values behind one cell of a report.

    ``have`` of ``want`` measurements exist, one per expected language and seed. ``languages`` and
    ``seeds`` span the rectangle that is averaged; both are empty where there is nothing to show.
    """

    status: Status
    block: Block
    expected_languages: tuple[str, ...]
    expected_seeds: tuple[int, ...]
    languages: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether there is a number."""
        return self.status in ("done", "partial")

    @property
    def places(self) -> list[tuple[str, int]]:
        """All (language, seed) that the average ought to cover."""
        return [(lang, seed) for lang in self.expected_languages for seed in self.expected_seeds]

    @property
    def gaps(self) -> list[tuple[str, int]]:
        """The (language, seed) without a value."""
        return [place for place in self.places if not is_done(self.block.get(place))]

    @property
    def want(self) -> int:
        """How many measurements there ought to be."""
        return len(self.places)

    @property
    def have(self) -> int:
        """How many of them exist."""
        return self.want - len(self.gaps)

    def per_seed(self, languages: Sequence[str], seeds: Sequence[int]) -> list[float]:
        """The mean over ``languages`` for each of ``seeds``."""
        return [
            fsum(_value(self.block[language, seed]) for language in languages) / len(languages)
            for seed in seeds
        ]

    def mean_sd(self) -> tuple[float, float | None]:
        """Mean and standard deviation over seeds of the mean over languages."""
        return mean_sd(self.per_seed(self.languages, self.seeds))

    @property
    def keys(self) -> tuple[str, ...]:
        """Store keys of the measurements that are averaged."""
        used = [self.block[language, seed] for language in self.languages for seed in self.seeds]
        return tuple(m.key for m in used if m.key is not None)

    @property
    def gap_keys(self) -> tuple[str, ...]:
        """Store keys of the measurements that are lacking, of those that were planned."""
        rows = [self.block[place] for place in self.gaps if place in self.block]
        return tuple(m.key for m in rows if m.key is not None)


def is_done(measurement: Measurement | None) -> bool:
    """Whether there is a value."""
    return measurement is not None and measurement.status == "done"


def _value(measurement: Measurement) -> float:
    assert measurement.value is not None
    return measurement.value


def average(
    block: Block, languages: Sequence[str], seeds: Sequence[int], allow_partial: bool = False
) -> Average:
    """Averages a block over ``languages`` and ``seeds``, or says why it cannot be.

    The worst of what is lacking gives the status: failed, blocked, missing (nothing at all),
    incomplete (something), absent (never asked for: not a single row).
    """
    wanted = (tuple(languages), tuple(seeds))
    places = [(language, seed) for language in languages for seed in seeds]
    rows = [block[place] for place in places if place in block]
    have = sum(is_done(row) for row in rows)
    if places and have == len(places):
        return Average("done", block, *wanted, *wanted)
    if allow_partial:
        kept = _rectangle(block, *wanted)
        if kept[0]:
            return Average("partial", block, *wanted, *kept)
    return Average(_lacking(rows, have), block, *wanted)


def _lacking(rows: Sequence[Measurement], have: int) -> Status:
    statuses = {row.status for row in rows}
    if not rows:
        return "absent"
    if "failed" in statuses:
        return "failed"
    if "blocked" in statuses:
        return "blocked"
    return "incomplete" if have else "missing"


def _rectangle(
    block: Block, languages: Sequence[str], seeds: Sequence[int]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The languages that have a value for every kept seed, and the seeds that have any value."""
    kept_seeds = tuple(s for s in seeds if any(is_done(block.get((lang, s))) for lang in languages))
    kept_languages = tuple(
        lang
        for lang in languages
        if kept_seeds and all(is_done(block.get((lang, s))) for s in kept_seeds)
    )
    return kept_languages, kept_seeds


def difference(treated: Average, baseline: Average) -> Difference | None:
    """Mean of the per-seed differences over the languages and seeds that both averages cover.

    None where either has no number, or they share no language or no seed.
    """
    languages = [language for language in treated.languages if language in baseline.languages]
    seeds = [seed for seed in treated.seeds if seed in baseline.seeds]
    if not languages or not seeds:
        return None
    differences = [
        after - before
        for after, before in zip(
            treated.per_seed(languages, seeds), baseline.per_seed(languages, seeds), strict=True
        )
    ]
    low, high = paired_t_interval(differences) or (None, None)
    return Difference(mean_sd(differences)[0], low, high, len(differences))
