"""Averages over languages and runs (seeds of fine-tuning and alignment) that refuse to hide a gap.

The mean over languages is taken per run, so that the spread over runs is that of the number
shown. A part is averaged only where it was asked for, over a full rectangle: the languages that
every remaining run has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from xbench.report.results.results import Block, Measurement, Run
from xbench.report.statistics.inference import interval
from xbench.report.statistics.run_noise import alignments, effect_over
from xbench.report.statistics.stats import mean_sd, paired_t_interval
from xbench.report.table import Difference, Status


@dataclass(frozen=True)
class CellAverage:
    """The values behind one cell of a report.

    ``have`` of ``want`` measurements exist, one per expected language and run. ``languages`` and
    ``runs`` span the rectangle that is averaged; both are empty where there is nothing to show.
    """

    status: Status
    block: Block
    expected_languages: tuple[str, ...]
    expected_runs: tuple[Run, ...]
    languages: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether there is a number."""
        return self.status in ("done", "partial")

    @property
    def places(self) -> list[tuple[str, Run]]:
        """All (language, run) that the average ought to cover."""
        return [(lang, run) for lang in self.expected_languages for run in self.expected_runs]

    @property
    def gaps(self) -> list[tuple[str, Run]]:
        """The (language, run) without a value."""
        return [place for place in self.places if not is_done(self.block.get(place))]

    @property
    def want(self) -> int:
        """How many measurements there ought to be."""
        return len(self.places)

    @property
    def have(self) -> int:
        """How many of them exist."""
        return self.want - len(self.gaps)

    def per_run(self, languages: Sequence[str], runs: Sequence[Run]) -> list[float]:
        """The mean over ``languages`` for each of ``runs``."""
        return [
            fsum(_value(self.block[language, run]) for language in languages) / len(languages)
            for run in runs
        ]

    def mean_sd(self) -> tuple[float, float | None]:
        """Mean and standard deviation over runs of the mean over languages."""
        return mean_sd(self.per_run(self.languages, self.runs))

    @property
    def keys(self) -> tuple[str, ...]:
        """Store keys of the measurements that are averaged."""
        used = [self.block[language, run] for language in self.languages for run in self.runs]
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
    block: Block, languages: Sequence[str], runs: Sequence[Run], allow_partial: bool = False
) -> CellAverage:
    """Averages a block over ``languages`` and ``runs``, or says why it cannot be.

    The worst of what is lacking gives the status: failed, blocked, missing (nothing at all),
    incomplete (something), absent (never asked for: not a single row).
    """
    wanted = (tuple(languages), tuple(runs))
    places = [(language, run) for language in languages for run in runs]
    rows = [block[place] for place in places if place in block]
    have = sum(is_done(row) for row in rows)
    if places and have == len(places):
        return CellAverage("done", block, *wanted, *wanted)
    if allow_partial:
        kept = _rectangle(block, *wanted)
        if kept[0]:
            return CellAverage("partial", block, *wanted, *kept)
    return CellAverage(_lacking(rows, have), block, *wanted)


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
    block: Block, languages: Sequence[str], runs: Sequence[Run]
) -> tuple[tuple[str, ...], tuple[Run, ...]]:
    """The languages that have a value for every kept run, and the runs that have any value."""
    kept_runs = tuple(r for r in runs if any(is_done(block.get((lang, r))) for lang in languages))
    kept_languages = tuple(
        lang
        for lang in languages
        if kept_runs and all(is_done(block.get((lang, r))) for r in kept_runs)
    )
    return kept_languages, kept_runs


def difference(treated: CellAverage, baseline: CellAverage) -> Difference | None:
    """Mean of the differences by run over the languages and runs that both averages cover.

    A run is paired with the same run of the baseline; where that was never aligned, with its run of
    the same fine-tuning seed. None where either has no number, or they share no language or no run.
    """
    languages = [language for language in treated.languages if language in baseline.languages]
    partners = {run: partner for run in treated.runs if (partner := _partner(run, baseline.runs))}
    if not languages or not partners:
        return None
    after = treated.per_run(languages, [*partners])
    before = baseline.per_run(languages, [*partners.values()])
    changes = {run: a - b for run, a, b in zip(partners, after, before, strict=True)}
    return over_runs(changes)


def over_runs(changes: Mapping[Run, float]) -> Difference:
    """Paired differences, one a run, as one difference with its interval."""
    effect, count = effect_over(changes), len(alignments(changes))
    values = list(changes.values())
    bounds = interval(effect) or (paired_t_interval(values) if count < 2 else None)
    low, high = bounds or (None, None)
    return Difference(
        mean_sd(values)[0], low, high, len(values), freedom=effect.freedom, alignments=count
    )


def _partner(run: Run, runs: Sequence[Run]) -> Run | None:
    """The run that one is compared with: the same, or that of an encoder that was never aligned."""
    return next((each for each in (run, Run(run.seed)) if each in runs), None)
