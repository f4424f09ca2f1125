"""Propositions around the study: what fine-tuning, levels, scripts and right pairs have to do with it."""

from collections.abc import Iterable, Mapping
from functools import partial
from math import fsum
from typing import ClassVar

from xbench.api.claim import SHUFFLED, UNTOUCHED, Average, Claim, ClaimView, Part
from xbench_plugins.claims import study


class FineTuningAlwaysHelps(Claim):
    """Scores after full fine-tuning less those with a frozen encoder, encoder by encoder."""

    statement: ClassVar[str] = (
        "Fine-tuning the whole encoder reaches more than a linear layer on the frozen one, whatever "
        "the alignment."
    )
    source: ClassVar[str] = f"{study.SOURCE}, proposition"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each task and encoder of the run, placebos aside."""
        names = [name for name in view.encoders if not name.startswith(SHUFFLED)]
        for task in study.TASKS:
            for name in names or [UNTOUCHED]:
                both = [Average(1.0, task, "full", name), Average(-1.0, task, "linear", name)]
                yield Part(f"{name} on {task}", view.contrast(both), percent=True)


class LevelsCaptureDifferentProperties(Claim):
    """The gain of the sentence loss over the word loss, on topics less on tags, by mode.

    Each loss alone. If sentence and word losses brought the same properties, their difference would
    be the same for both tasks.
    """

    statement: ClassVar[str] = (
        "Sentence and word losses bring different properties: topics gain more from sentences over "
        "words than tags do."
    )
    source: ClassVar[str] = f"{study.SOURCE}, proposition"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each mode."""
        for mode in study.MODES:
            weights = {("topic", study.SENTENCE): 1.0, ("topic", study.WORD): -1.0}
            weights |= {("pos", study.SENTENCE): -1.0, ("pos", study.WORD): 1.0}
            terms = [Average(weight, task, mode, name) for (task, name), weight in weights.items()]
            yield Part(mode, view.contrast(terms), percent=True)


class ScriptMattersByTask(Claim):
    """Gains of unseen languages in a script of the pair less gains of the others, tags less topics.

    A language is unseen where it is neither one of the aligned pair nor the source language. The
    mean over all variants and pairs that have languages of both kinds.
    """

    statement: ClassVar[str] = (
        "How much a language gains from sharing a script with the aligned pair depends on the task."
    )
    source: ClassVar[str] = f"{study.SOURCE}, proposition"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each mode, over seeds."""
        for mode in study.MODES:
            lacking = (
                f"needs both tasks in mode {mode}, with unseen languages in a script of the aligned "
                f"pair and in others"
            )
            effect = view.over_seeds(partial(_tags_less_topics, mode), [mode], lacking)
            yield Part(mode, effect, "beyond", margin=0.005, percent=True)


def _tags_less_topics(mode: str, view: ClaimView) -> Mapping[int, float]:
    tags, topics = (_advantage(view, task, mode) for task in study.TASKS)
    return {seed: tags[seed] - topics[seed] for seed in sorted({*tags} & {*topics})}


def _advantage(view: ClaimView, task: str, mode: str) -> Mapping[int, float]:
    """Seed -> what a shared script adds to a change, the mean over encoders and pairs."""
    base = view.scores(task, mode, UNTOUCHED)
    changes: dict[tuple[int, str, str], dict[bool, list[float]]] = {}
    for name in view.encoders:
        if name == UNTOUCHED or name.startswith(SHUFFLED):
            continue
        for (pair, language, seed), score in view.scores(task, mode, name).items():
            before, shares = base.get((None, language, seed)), _shares(view, pair, language)
            if pair is not None and before is not None and shares is not None:
                of_both = changes.setdefault((seed, name, pair), {True: [], False: []})
                of_both[shares].append(score - before)
    found: dict[int, list[float]] = {}
    for (seed, _, _), of_both in changes.items():
        if all(of_both.values()):
            same, other = (fsum(of_both[k]) / len(of_both[k]) for k in (True, False))
            found.setdefault(seed, []).append(same - other)
    return {seed: fsum(each) / len(each) for seed, each in found.items()}


def _shares(view: ClaimView, pair: str | None, language: str) -> bool | None:
    """Whether an unseen language has a script of the pair; None where it is seen, or not known."""
    sides = (pair or "").split("-")
    if language in (*sides, view.source):
        return None
    scripts = [view.scripts.get(code) for code in (language, *sides)]
    return None if None in scripts else scripts[0] in scripts[1:]


class RightPairsMatter(Claim):
    """Scores of an alignment less those of the same alignment on wrongly paired sentences.

    The placebo has the same text, steps and losses. What both gain is no gain of alignment. The
    study has no such control.
    """

    statement: ClassVar[str] = (
        "What alignment gains comes from right pairs: the same training on wrong pairs gains less."
    )
    source: ClassVar[str] = "xbench; the study has no such control"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each encoder that has its placebo, task and mode."""
        names = [name for name in view.encoders if SHUFFLED + name in view.encoders]
        for task, mode in study.panels():
            for name in names or [study.SENTENCE]:
                effect = view.contrast(study.gain(task, mode, name, SHUFFLED + name))
                yield Part(f"{name} on {task}, {mode}", effect, percent=True)
