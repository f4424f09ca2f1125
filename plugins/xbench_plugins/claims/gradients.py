"""Claims about gradients of the task and of the alignment objective."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from xbench.api.claim import Claim, ClaimView, Effect, Part
from xbench_plugins.claims import study

PROBE, COSINE = "gradients", "task_vs_objective_cosine"
NOTHING = 0.05
"""A cosine up to which gradients of tagging count as about zero, or negative."""


class GradientsAgreeByTask(Claim):
    """Cosine of the task's gradient with the alignment objective's, by language.

    ``task_vs_objective_cosine`` of aligned encoders, the mean over all variants unless they are named,
    with each language as a unit. That about zero is below .05 is our reading.
    """

    statement: ClassVar[str] = (
        "Gradients of topics agree with the objective's more than those of tags, which are about zero "
        "or negative; they agree more for pairs without the source language, and for topics the "
        "sentence loss adds to it."
    )
    source: ClassVar[str] = f"{study.SOURCE}, claim C8"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """Parts for each clause of the claim."""
        present = self._measured_variants(view)
        everything = study.mean_of(present) if present else {}
        tags, topics = (self._cosines(view, everything, task) for task in study.TASKS)
        both = {code: topics[code] - tags[code] for code in topics if code in tags}
        yield Part("topics less tags", self._over(view, both, "pos and topic"))
        excess = {code: value - NOTHING for code, value in tags.items()}
        yield Part(f"tags, less {NOTHING}", self._over(view, excess, "pos"), "below")
        for task in study.TASKS:
            effect = self._by_pair(view, everything, task)
            yield Part(f"{task}: other pairs less the source's", effect)
        with_it = [name for name in present if name in study.variants_with("sentence")]
        without_it = [name for name in present if name not in with_it]
        added: Mapping[str, float] = {}
        if with_it and without_it:
            weights = study.minus(study.mean_of(with_it), study.mean_of(without_it))
            added = self._cosines(view, weights, "topic")
        what = "topic for variants with and without the sentence loss"
        yield Part("topic: with less without sentence loss", self._over(view, added, what))

    @staticmethod
    def _measured_variants(view: ClaimView) -> list[str]:
        """Variants with a cosine for every task of the study that any variant has it for."""
        names = [study.encoder(switches) for switches in study.every() if any(switches)]
        having = {
            task: [name for name in names if view.measured(PROBE, COSINE, {name: 1.0}, task=task)]
            for task in study.TASKS
        }
        asked = [set(found) for found in having.values() if found]
        return [name for name in names if asked and all(name in found for found in asked)]

    def remarks(self, view: ClaimView) -> Iterable[str]:
        """What a cosine near zero means."""
        return [
            "In so many dimensions a cosine near zero is what noise alone gives: see the cosines "
            "corrected for noise."
        ]

    def _by_pair(self, view: ClaimView, weights: Mapping[str, float], task: str) -> Effect:
        """Alignment on pairs without the source language less on pairs with it, by language."""
        sourced = [pair for pair in view.pairs if view.source in pair.split("-")]
        others = [pair for pair in view.pairs if pair not in sourced]
        if not sourced or not others or not weights:
            reason = "needs alignments on pairs with and without the source language"
            return Effect(None, unit="languages", reason=reason)
        first, second = (
            view.measured(PROBE, COSINE, weights, task=task, pairs=pairs)
            for pairs in (others, sourced)
        )
        difference = {code: first[code] - second[code] for code in first if code in second}
        return self._over(view, difference, task)

    @staticmethod
    def _cosines(view: ClaimView, weights: Mapping[str, float], task: str) -> Mapping[str, float]:
        return view.measured(PROBE, COSINE, weights, task=task) if weights else {}

    @staticmethod
    def _over(view: ClaimView, values: Mapping[str, float], what: str) -> Effect:
        return study.over_languages(view, values, f"needs the probe {PROBE} on {what}")
