"""A run as claims see it: scores by encoder, changes of what probes measured, and their effects."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import fsum
from typing import TYPE_CHECKING, Any

from xbench.api.claim import SHUFFLED, UNTOUCHED, Average, Effect, Weights
from xbench.report.results.averages import is_done
from xbench.report.results.background import Background
from xbench.report.results.changes import accuracy_changes, measure_changes
from xbench.report.results.probe_rows import Measure, ProbeResults, has_probes, read_probes
from xbench.report.results.reading import read_results
from xbench.report.results.results import ComparedEncoder, Results, Run, Selection
from xbench.report.statistics.inference import group_effect, mean_effect
from xbench.report.statistics.pair_effect import pair_effect
from xbench.report.statistics.run_noise import SEEDS, alignments, effect_over, is_of_one_checkpoint
from xbench.report.statistics.stats import Estimate, correlations
from xbench.report.tables.untrained import has_training

if TYPE_CHECKING:
    import pandas as pd

DURING = "during "
"""Before the name of an encoder whose objective acts beside the task's loss."""
ONE_CHECKPOINT = "needs several alignment seeds in mode linear (--align-seed 42,43,44)"
"""Where fine-tuning seeds vary a head on one frozen encoder, they say nothing of another alignment."""
FEWEST_CELLS = 3

Place = tuple[str | None, str, int]
"""(aligned pair, language, fine-tuning seed)."""
RunPlace = tuple[str | None, str, Run]
"""(aligned pair, language, run)."""


def name_of(encoder: ComparedEncoder) -> str:
    """What claims call an encoder, its pair and alignment seed aside."""
    if encoder.arm == UNTOUCHED:
        return UNTOUCHED
    name = ":".join(part for part in (encoder.objective, encoder.variant) if part)
    during = DURING if encoder.during else ""
    return (SHUFFLED if encoder.arm == "shuffled" else "") + during + name


class RunView:
    """Implements :class:`xbench.api.claim.ClaimView` over the tidy results of one run.

    Raises ``ValueError`` where the results cannot be reported (see ``reading.read_results``).
    """

    def __init__(
        self,
        frame: "pd.DataFrame",
        selection: Selection,
        background: Background,
        source: str | None = None,
    ) -> None:
        self._frame, self._background, self.source = frame, background, source
        self._selection = selection
        self._alone: dict[int | None, RunView] = {}
        self._results: Results | None = None
        if has_training(frame):
            self._results = read_results(frame, selection)
        self._probes: ProbeResults | None = None
        if has_probes(frame):
            rows = frame[frame["probe"].notna() & frame["metric"].notna()]
            wanted = set(zip(rows["probe"], rows["metric"], strict=True))
            self._probes = read_probes(frame, selection, wanted)
        self._scores: dict[tuple[str, str, str], Mapping[RunPlace, float]] = {}
        self._means: dict[tuple[str, str, str], Mapping[Place, float]] = {}

    @property
    def frame(self) -> "pd.DataFrame":
        """A copy of the tidy results."""
        return self._frame.copy()

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The suite's named groups of language pairs."""
        return self._background.groups

    @property
    def scripts(self) -> Mapping[str, str]:
        """Language -> script."""
        return self._background.scripts

    @cached_property
    def encoders(self) -> tuple[str, ...]:
        """All names of encoders, of either kind of rows."""
        return tuple(dict.fromkeys(name_of(encoder) for encoder in self._all))

    @cached_property
    def pairs(self) -> tuple[str, ...]:
        """The pairs that encoders were aligned on."""
        return tuple(sorted({e.pair for e in self._all if e.pair is not None}))

    @cached_property
    def _all(self) -> list[ComparedEncoder]:
        of_results = self._results.encoders if self._results else []
        return [*of_results, *(self._probes.encoders if self._probes else [])]

    # Scores.

    def scores(self, task: str, mode: str, encoder: str) -> Mapping[Place, float]:
        """(aligned pair, language, seed) -> score, the mean over alignment seeds; no partial means."""
        asked = (task, mode, encoder)
        if asked not in self._means:
            self._means[asked] = self._over_alignments(*asked)
        return self._means[asked]

    def _over_alignments(self, task: str, mode: str, encoder: str) -> Mapping[Place, float]:
        values: dict[Place, list[float]] = defaultdict(list)
        for (pair, language, run), value in self._of_runs(task, mode, encoder).items():
            values[pair, language, run.seed].append(value)
        count = len(self._alignments(encoder))
        return {place: fsum(of) / count for place, of in values.items() if len(of) == count}

    def _of_runs(self, task: str, mode: str, encoder: str) -> Mapping[RunPlace, float]:
        """(aligned pair, language, run) -> score."""
        asked = (task, mode, encoder)
        if asked not in self._scores:
            blocks = self._results.blocks if self._results else {}
            self._scores[asked] = {
                (each.pair, language, run): one.value
                for (panel, each), block in blocks.items()
                if panel == (task, mode) and name_of(each) == encoder
                for (language, run), one in block.items()
                if is_done(one) and one.value is not None
            }
        return self._scores[asked]

    def _alignments(self, encoder: str) -> tuple[int | None, ...]:
        """The alignment seeds that an encoder ought to have; (None,) where it was never aligned."""
        encoders = self._results.encoders if self._results else []
        aligned = any(e.has_alignment for e in encoders if name_of(e) == encoder)
        return self._results.align_seeds if aligned and self._results else (None,)

    def contrast(self, averages: Sequence[Average]) -> Effect:
        """One value per run, and the t test over fine-tuning seeds and, if several, alignment seeds."""
        lacking = self._lacking(averages)
        if lacking or self._results is None:
            return Effect(None, unit=SEEDS, reason=lacking or "the run fine-tuned nothing")
        pairs = self._common_pairs(averages)
        if not pairs:
            return Effect(None, unit=SEEDS, reason="the encoders were aligned on different pairs")
        seeds = set.intersection(
            *(set(self._results.seeds[average.task, average.mode]) for average in averages)
        )
        if not seeds:
            return Effect(None, unit=SEEDS, reason="no fine-tuning seed is common to all of it")
        aligned = [a for a in averages if self._alignments(a.encoder) != (None,)]
        seeds_before = self._alignments(aligned[0].encoder) if aligned else (None,)
        values: dict[Run, float] = {}
        gaps: list[str] = []
        for run in (Run(seed, each) for each in seeds_before for seed in sorted(seeds)):
            parts = [self._average(average, run, pairs, gaps) for average in averages]
            values[run] = fsum(a.weight * part for a, part in zip(averages, parts, strict=True))
        if gaps:
            more = f" and {len(gaps) - 1} more" if len(gaps) > 1 else ""
            return Effect(None, unit=SEEDS, reason=f"lacks {gaps[0]}{more}")
        return _tested(values, [a.mode for a in aligned])

    def _lacking(self, averages: Sequence[Average]) -> str:
        """What has no score at all, as the run would have to be asked for it."""
        panels = set(self._results.panels) if self._results else set()
        absent = [a for a in averages if (a.task, a.mode) not in panels]
        if absent:
            names = dict.fromkeys(f"task {a.task} in mode {a.mode}" for a in absent)
            return f"needs {', '.join(names)}"
        without = [a for a in averages if not self._of_runs(a.task, a.mode, a.encoder)]
        anywhere = {name_of(encoder) for encoder in self._results.encoders} if self._results else ()
        names = dict.fromkeys(
            f"{a.encoder} on {a.task} in mode {a.mode}" if a.encoder in anywhere else a.encoder
            for a in without
        )
        return f"needs {', '.join(names)}" if names else ""

    def _common_pairs(self, averages: Sequence[Average]) -> list[str | None]:
        """The aligned pairs that all have; [None] where only untouched encoders take part."""
        of_each = [
            {pair for pair, _, _ in self._of_runs(a.task, a.mode, a.encoder)}
            for a in averages
            if a.encoder != UNTOUCHED
        ]
        if not of_each:
            return [None]
        return sorted(set.intersection(*of_each), key=lambda pair: pair or "")

    def _average(
        self, average: Average, run: Run, pairs: Sequence[str | None], gaps: list[str]
    ) -> float:
        """The mean over languages and pairs; what is lacking is added to ``gaps``, each once."""
        assert self._results is not None
        languages = average.languages or self._results.languages[average.task, average.mode]
        found = self._of_runs(average.task, average.mode, average.encoder)
        seeds = self._alignments(average.encoder)
        own = Run(run.seed) if seeds == (None,) else run
        word = f"align seed {own.align_seed}" if len(seeds) > 1 else None
        places = [
            (pair, language, own)
            for pair in ([None] if average.encoder == UNTOUCHED else pairs)
            for language in languages
        ]
        for pair, language, _ in (place for place in places if place not in found):
            parts = (average.encoder, pair, average.task, average.mode, language, word, run.seed)
            gap = " ".join(str(part) for part in parts if part is not None)
            gaps += [gap] if gap not in gaps else []
        return fsum(found.get(place, 0.0) for place in places) / len(places)

    # What probes measured.

    def measured(
        self,
        probe: str,
        metric: str,
        weights: Weights,
        depth: float | None = None,
        task: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> Mapping[str, float]:
        """Language or pair -> the weighted sum over encoders, where all of them have a value."""
        measure = self._measure(probe, metric, depth)
        if measure is None or self._probes is None:
            return {}
        values: dict[str, dict[str, list[float | None]]] = {name: {} for name in weights}
        for (encoder, condition, place), one in self._probes.found[measure].items():
            name = name_of(encoder)
            wanted = pairs is None or encoder.pair is None or encoder.pair in pairs
            if name in values and condition == (task, None) and wanted and place is not None:
                values[name].setdefault(place, []).append(one.value)
        found: dict[str, float] = {}
        for place in sorted(set.intersection(*(set(of_place) for of_place in values.values()))):
            numbers = {name: values[name][place] for name in weights}
            if all(value is not None for each in numbers.values() for value in each):
                found[place] = fsum(
                    weights[name] * fsum(v for v in each if v is not None) / len(each)
                    for name, each in numbers.items()
                )
        return found

    def _measure(self, probe: str, metric: str, depth: float | None) -> Measure | None:
        """The measure of no layer, or at the layer nearest to a relative depth, the upper of two."""
        measures = self._probes.of(probe, metric) if self._probes else []
        if depth is None:
            return next((m for m in measures if m.layer < 0), None)
        layers = [m for m in measures if m.layer >= 0]
        if not layers:
            return None
        wanted = depth * (self._background.layers or max(m.layer for m in layers))
        return min(layers, key=lambda m: (abs(m.layer - wanted), -m.layer))

    def association(
        self, task: str, mode: str, probe: str, metric: str, depth: float | None = None
    ) -> Effect:
        """Spearman's correlation of changes over cells, with languages as clusters."""
        unit, panel = "languages", (task, mode)
        if self._results is None or panel not in self._results.panels:
            return Effect(None, unit=unit, reason=f"needs task {task} in mode {mode}")
        measure = self._measure(probe, metric, depth)
        if measure is None or self._probes is None:
            return Effect(None, unit=unit, reason=f"needs the probe {probe} ({metric})")
        scores = accuracy_changes(self._results, panel, self.source).of
        changes = measure_changes(self._probes, measure, (None, None), self.source)
        shared = [name for name in scores if name in changes.of]
        if not changes.is_change or len(shared) < FEWEST_CELLS:
            return Effect(None, unit=unit, reason=_few(shared, changes.is_change, metric))
        languages = [name[-1] for name in shared]
        found = correlations(
            [changes.of[name] for name in shared], [scores[name] for name in shared], languages
        )
        return _as_effect(found.pooled, found.clusters)

    # Effects of a plugin's own numbers.

    def over(self, values: Sequence[float], unit: str) -> Effect:
        """The mean of independent values."""
        return mean_effect(values, unit)

    def over_seeds(
        self,
        measure: Callable[["RunView"], Mapping[int, float]],
        modes: Sequence[str],
        lacking: str,
    ) -> Effect:
        """The mean of what is measured once per fine-tuning seed, in each alignment by itself."""
        seeds: tuple[int | None, ...] = self._results.align_seeds if self._results else ()
        found = {seed: measure(self._of_alignment(seed)) for seed in seeds or (None,)}
        empty = [str(seed) for seed, values in found.items() if not values]
        if len(empty) == len(found):
            return Effect(None, unit=SEEDS, reason=lacking)
        if empty:
            return Effect(None, unit=SEEDS, reason=f"lacks align seed {', '.join(empty)}")
        return _tested({Run(s, a): v for a, of in found.items() for s, v in of.items()}, modes)

    def _of_alignment(self, seed: int | None) -> "RunView":
        """The run with the scores of one alignment seed alone."""
        if self._results is None or len(self._results.align_seeds) < 2:
            return self
        if seed not in self._alone:
            rows = self._frame[self._frame["probe"].isna()]  # of probes it has no need
            selection = replace(self._selection, align_seed=seed)
            self._alone[seed] = RunView(rows, selection, self._background, self.source)
        return self._alone[seed]

    def over_pairs(
        self, first: Mapping[str, float], second: Mapping[str, float] | None = None
    ) -> Effect:
        """The mean over pairs of languages that share languages, or the difference of two."""
        return pair_effect(first, second)

    def between(self, first: Sequence[float], second: Sequence[float], unit: str) -> Effect:
        """The mean of the first values less that of the second."""
        return group_effect(first, second, unit)


def _tested(values: Mapping[Run, float], modes: Sequence[str]) -> Effect:
    """The effect over runs; not tested where all of it is of one frozen checkpoint."""
    effect, count = effect_over(values), len(alignments(values))
    if modes and all(is_of_one_checkpoint(mode, count) for mode in modes):
        return Effect(effect.value, n=effect.n, unit=effect.unit, reason=ONE_CHECKPOINT)
    return effect


def _few(shared: Sequence[Any], is_change: bool, metric: str) -> str:
    if not is_change:
        return f"{metric} was not measured of the untouched encoder: it has no change"
    return f"{len(shared)} cells have a change of both, fewer than {FEWEST_CELLS}"


def _as_effect(estimate: Estimate, clusters: int) -> Effect:
    """An estimate of a correlation, whose interval is Student's on Fisher's scale, as an effect."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return Effect(
            estimate.value, n=clusters, unit="languages", correlation=True, reason=estimate.reason
        )
    from scipy.special import stdtrit

    low, center, high = (math.atanh(v) for v in (estimate.low, estimate.value, estimate.high))
    error = max(center - low, high - center) / float(stdtrit(clusters - 1, 0.975))
    test = "t on Fisher's scale, over resampled languages"
    return Effect(estimate.value, error, clusters - 1, clusters, "languages", test, True)
