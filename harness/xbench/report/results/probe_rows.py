"""The rows of probes, from the tidy results table: which checkpoint, which measure, which value."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from math import fsum, isfinite
from typing import TYPE_CHECKING, Any

from xbench.report.results.reading import COLUMNS, Record, encoder_of
from xbench.report.results.results import ARMS, ComparedEncoder, Selection

if TYPE_CHECKING:
    import pandas as pd

Condition = tuple[str | None, str | None]
"""(task, mode) that a checkpoint was fine-tuned for. Without a mode it was not: a task alone is the
one whose head was fitted on it, frozen."""
AS_IT_IS: Condition = (None, None)

Place = tuple[ComparedEncoder, Condition, str | None]
"""(encoder, condition, language or pair)."""


@dataclass(frozen=True, order=True)
class Measure:
    """What was measured; ``layer`` is -1 for what is of no layer in particular."""

    probe: str
    metric: str
    layer: int

    @property
    def label(self) -> str:
        """``mean_cosine, layer 8``."""
        return self.metric if self.layer < 0 else f"{self.metric}, layer {self.layer}"


@dataclass(frozen=True)
class Measured:
    """A value, the mean over seeds of alignment and fine-tuning where there are any, and its rows.

    ``value`` is None unless ``status`` is ``done``; ``reason`` says why, or flags the value.
    """

    status: str
    value: float | None
    n: int | None = None
    keys: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class ProbeResults:
    """The selected rows of probes of one suite and model; seeds are averaged.

    ``found``: measure -> place -> value, or why there is none. ``align_seeds``: of which alignments
    it is the mean.
    """

    suite: str
    model: str
    found: Mapping[Measure, Mapping[Place, Measured]]
    failures: tuple[str, ...] = ()
    step: int | None = None
    align_seeds: tuple[int, ...] = ()

    @property
    def encoders(self) -> list[ComparedEncoder]:
        """All encoders that were probed, the untouched one first, controls last."""
        return sorted({e for places in self.found.values() for e, _, _ in places}, key=order)

    def conditions(self, measures: Iterable[Measure]) -> list[Condition]:
        """Before fine-tuning first, then by task and mode."""
        found = {c for m in measures for _, c, _ in self.found.get(m, {})}
        return sorted(found, key=lambda c: (c[1] or "", c[0] or ""))

    def languages(self, measures: Iterable[Measure], condition: Condition) -> list[str | None]:
        """What any encoder has a value of, in order; others have no data, and are no gaps."""
        found = {
            language
            for measure in measures
            for (_, at, language), one in self.found.get(measure, {}).items()
            if at == condition and one.value is not None
        }
        return sorted(found, key=lambda language: language or "")

    def of(self, probe: str, metric: str) -> list[Measure]:
        """The measures of a metric, lowest layer first: those with any value, if there are some."""
        found = sorted(m for m in self.found if (m.probe, m.metric) == (probe, metric))
        valued = [m for m in found if any(one.value is not None for one in self.found[m].values())]
        return valued or found

    def reason(self, probe: str, metric: str, language: str) -> str:
        """Why there is no value of a metric for a language; nothing where nobody said."""
        return next(
            (
                one.reason
                for measure, places in self.found.items()
                if (measure.probe, measure.metric) == (probe, metric)
                for (_, _, place), one in places.items()
                if place == language and one.reason
            ),
            "",
        )

    def items(self, measures: Iterable[Measure], condition: Condition) -> int:
        """The largest number of items that any of the measures is of; 0 where nobody said."""
        return max(
            (
                one.n or 0
                for measure in measures
                for (_, at, _), one in self.found.get(measure, {}).items()
                if at == condition
            ),
            default=0,
        )

    def at(self, measure: Measure, place: Place) -> Measured | None:
        """What was measured there; None where nothing was asked for."""
        return self.found.get(measure, {}).get(place)


def order(encoder: ComparedEncoder) -> tuple[int, str, str, str, bool]:
    """Encoders by arm, pair, objective and variant."""
    words = (encoder.pair or "", encoder.objective or "", encoder.variant or "")
    return (ARMS.index(encoder.arm), *words, encoder.during)


def has_probes(frame: "pd.DataFrame") -> bool:
    """Whether any row is of a probe."""
    return bool(frame["probe"].notna().any())


def read_probes(
    frame: "pd.DataFrame", selection: Selection, wanted: Set[tuple[str, str]]
) -> ProbeResults:
    """Selects the rows of the ``wanted`` (probe, metric), at the step and seeds selected.

    Raises ``ValueError`` for absent columns, several suites or models, values that are not
    finite, and two values for one place.
    """
    absent = [column for column in COLUMNS if column not in frame.columns]
    if absent:
        raise ValueError(f"the results table lacks the columns {', '.join(absent)}")
    rows = frame[frame["probe"].notna()]
    for column in ("suite", "model"):
        values = sorted(set(rows[column].dropna()))
        if len(values) > 1:
            raise ValueError(
                f"the results of probes hold several values of {column} ({', '.join(values)}); "
                f"keep the rows of one {column}"
            )
    rows = rows[_selected(rows, selection)]
    failed = sorted({_why(r) for r in _records(rows[rows["metric"].isna()])})
    names = list(zip(rows["probe"], rows["metric"], strict=True))
    kept = _records(rows[[name in wanted for name in names]])
    by_seed: dict[Measure, dict[Place, dict[Any, Record]]] = defaultdict(lambda: defaultdict(dict))
    for record in kept:
        _add(by_seed[_measure(record)][_place(record)], record)
    lost = _lost(_records(rows))
    found = {
        measure: {
            place: _over_seeds([*of_seed.values(), *lost.get((measure.probe, *place[:2]), ())])
            for place, of_seed in places.items()
        }
        for measure, places in by_seed.items()
    }
    steps = rows["align_step"].dropna()
    suite, model = (str(next(iter(rows[c].dropna()), "unknown")) for c in ("suite", "model"))
    step = None if steps.empty else int(steps.max())
    seeds = sorted({int(seed) for seed in rows["align_seed"].dropna()})
    return ProbeResults(suite, model, found, tuple(failed), step, tuple(seeds))


def _why(record: Record) -> str:
    return (
        f"{record['probe']}: {record['status']}: {record.get('reason') or 'no reason was recorded'}"
    )


def _lost(records: Iterable[Record]) -> dict[tuple[str, ComparedEncoder, Condition], list[Record]]:
    """The rows of probes that failed as a whole, for one of several seeds: no mean is without them."""
    found: dict[tuple[str, ComparedEncoder, Condition], list[Record]] = defaultdict(list)
    for record in records:
        if record["metric"] is None:
            encoder, condition, _ = _place(record)
            found[record["probe"], encoder, condition].append(record)
    return found


def _selected(rows: "pd.DataFrame", selection: Selection) -> Any:
    """Which rows are of the alignment step (the largest by default) and of the seeds selected."""
    steps = rows["align_step"].dropna()
    step = selection.align_step if selection.align_step is not None else steps.max()
    chosen = rows["align_step"].isna() | (rows["align_step"] == step).fillna(False)
    if selection.align_seed is not None:
        seed = rows["align_seed"]
        chosen &= seed.isna() | (seed == selection.align_seed).fillna(False)
    return chosen.astype(bool)


def _records(rows: "pd.DataFrame") -> list[Record]:
    clean = rows.astype(object).where(rows.notna(), None)
    return [{str(name): value for name, value in r.items()} for r in clean.to_dict("records")]


def _measure(record: Record) -> Measure:
    layer = record["layer"]
    return Measure(record["probe"], record["metric"], -1 if layer is None else int(layer))


def _place(record: Record) -> Place:
    return encoder_of(record), (record["task"], record["mode"]), record["language"]


def _add(of_seed: dict[Any, Record], record: Record) -> None:
    value = record["value"]
    if value is not None and not isfinite(value):
        raise ValueError(f"{record['probe']} {record['metric']} of {record['language']} is {value}")
    known = of_seed.setdefault((record["seed"], record["align_seed"]), record)
    if (known["key"], known["value"]) != (record["key"], value):
        raise ValueError(
            f"two results of {record['probe']} {record['metric']} for {record['language']} "
            f"(keys {known['key']}, {record['key']}): keep the rows of one of them"
        )


def _over_seeds(records: list[Record]) -> Measured:
    """The mean over seeds of fine-tuning and of alignment; one without a value leaves none."""
    first = records[0]
    keys = tuple(dict.fromkeys(str(r["key"]) for r in records if r["key"] is not None))
    lacking = next((r for r in records if r["value"] is None), None)
    if lacking is not None:
        return Measured(lacking["status"], None, None, keys, lacking.get("reason"))
    value = fsum(float(r["value"]) for r in records) / len(records)
    n = None if first["n"] is None else int(first["n"])
    return Measured("done", value, n, keys, first.get("reason"))
