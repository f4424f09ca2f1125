"""Claims about scores after fine-tuning: which losses help, for which task, in which mode."""

from collections.abc import Iterable, Mapping
from functools import partial
from math import fsum
from typing import ClassVar

from xbench.api.claim import UNTOUCHED, Claim, ClaimView, Part
from xbench_plugins.claims import study


class WordLossAloneHarms(Claim):
    """Scores of the word loss alone less the untouched encoder's, in both tasks and modes."""

    statement: ClassVar[str] = "The word loss alone lowers accuracy, in both tasks and both modes."
    source: ClassVar[str] = f"{study.SOURCE}, claim C1"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each task and mode."""
        for task, mode in study.panels():
            effect = view.contrast(study.gain(task, mode, study.WORD))
            yield Part(f"{task}, {mode}", effect, "below", percent=True)


class SentenceLossHelps(Claim):
    """Scores of each variant with the sentence loss less the untouched encoder's."""

    statement: ClassVar[str] = "Every variant with the sentence loss helps both tasks."
    source: ClassVar[str] = f"{study.SOURCE}, claim C2"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each variant, task and mode."""
        for task, mode in study.panels():
            for name in study.variants_with("sentence"):
                effect = view.contrast(study.gain(task, mode, name))
                yield Part(f"{name} on {task}, {mode}", effect, "above", percent=True)


class MatchingLevelGainsMost(Claim):
    """The gain of the loss of a task's level less the gains of the two others, encoder frozen.

    A loss's gain is its main effect: scores with it less scores without, the mean over the four
    settings of the other two switches; all switches off is the untouched encoder. That the word
    loss matches tagging and the sentence loss topics is our reading.
    """

    statement: ClassVar[str] = (
        "With a frozen encoder, the loss of the task's own level (words for tagging, sentences for "
        "topics) gains the most."
    )
    source: ClassVar[str] = f"{study.SOURCE}, claim C3"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each task and other loss."""
        for task, level in study.TASKS.items():
            for other in study.LOSSES:
                if other == level:
                    continue
                weights = study.minus(study.main_effect(level), study.main_effect(other))
                effect = view.contrast(study.averages(task, "linear", weights))
                yield Part(f"{task}, linear: {level} over {other} loss", effect, percent=True)


class MaskedLMHelps(Claim):
    """Scores of variants with masked language modelling less those without it, others alike."""

    statement: ClassVar[str] = "Adding masked language modelling to the other losses helps."
    source: ClassVar[str] = f"{study.SOURCE}, claim C4"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each task and mode."""
        weights = {
            name: (1 if switches[2] else -1) / 3
            for switches in study.every()
            if any(switches[:2]) and (name := study.encoder(switches))
        }
        for task, mode in study.panels():
            effect = view.contrast(study.averages(task, mode, weights))
            yield Part(f"{task}, {mode}", effect, percent=True)


class FullIsLessConsistent(Claim):
    """Consistency of changes, linear less full.

    Consistency is ``|up - down| / cells``: how far the changes of all variants, pairs and languages
    go the same way, from 0 to 1. What consistency means is our reading.
    """

    statement: ClassVar[str] = (
        "The changes that alignment brings are less consistent after full fine-tuning than with a "
        "frozen encoder."
    )
    source: ClassVar[str] = f"{study.SOURCE}, claim C9"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each task, over seeds."""
        for task in study.TASKS:
            lacking = f"needs task {task} in both modes, and aligned encoders"
            measure = partial(_linear_less_full, task)
            yield Part(task, view.over_seeds(measure, study.MODES, lacking), percent=True)


def _linear_less_full(task: str, view: ClaimView) -> Mapping[int, float]:
    linear, full = (_consistency(view, task, mode) for mode in ("linear", "full"))
    return {seed: linear[seed] - full[seed] for seed in sorted({*linear} & {*full})}


def _consistency(view: ClaimView, task: str, mode: str) -> Mapping[int, float]:
    """Seed -> how far changes go the same way, whatever way that is."""
    base = view.scores(task, mode, UNTOUCHED)
    signs: dict[int, list[int]] = {}
    for name in view.encoders:
        if not name.startswith("hictl:"):
            continue
        for (_, language, seed), score in view.scores(task, mode, name).items():
            before = base.get((None, language, seed))
            if before is not None:
                signs.setdefault(seed, []).append((score > before) - (score < before))
    return {seed: abs(fsum(each)) / len(each) for seed, each in signs.items()}
