"""Claims about what alignment does to similarities and distances of translations."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from xbench.api.claim import UNTOUCHED, Claim, ClaimView, Effect, Part
from xbench_plugins.claims import study

PROBE, COSINE = "retrieval", "mean_cosine"
DISTANCES, UNITS = "distances", {"sentences": "sentence", "words": "word_isolation"}
LOWER, UPPER = 1 / 3, 1.0
NON_ALIGNED = "G3"
CAUTION = (
    "A cosine says something about alignment beside that of random pairs only: a training may move "
    "all vectors together."
)


def cosine_changes(view: ClaimView, weights: Mapping[str, float]) -> dict[str, float]:
    """Pair of a group -> change of the mean cosine at layer 8 of 12."""
    return study.in_groups(view, view.measured(PROBE, COSINE, weights, study.MIDDLE))


def all_but_word() -> list[str]:
    """All variants but the word loss alone."""
    names = [study.encoder(switches) for switches in study.every() if any(switches)]
    return [name for name in names if name != study.WORD]


class CosineRises(Claim):
    """Change of the mean cosine of translations at layer 8 of 12, by variant, over the suite's pairs."""

    statement: ClassVar[str] = (
        "All alignments but the word loss alone raise the cosine of translations at layer 8 of 12."
    )
    source: ClassVar[str] = f"{study.SOURCE}, claim C5"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """A part for each variant, and one for what the word loss alone lacks of the others."""
        for name in all_but_word():
            found = cosine_changes(view, study.change_of({name: 1.0}))
            reason = study.lacking(view, PROBE, [name])
            yield Part(name, study.over_pairs(view, found, reason))
        weights = study.minus(study.mean_of(all_but_word()), {study.WORD: 1.0})
        reason = study.lacking(view, PROBE, [*all_but_word(), study.WORD])
        effect = study.over_pairs(view, cosine_changes(view, weights), reason)
        yield Part(f"all others less {study.WORD}", effect)

    def remarks(self, view: ClaimView) -> Iterable[str]:
        """How many pairs gain."""
        counts = []
        for name in (*all_but_word(), study.WORD):
            found = cosine_changes(view, study.change_of({name: 1.0}))
            if found:
                counts.append(f"{name} {sum(v > 0 for v in found.values())} of {len(found)}")
        return [f"Pairs that gain: {', '.join(counts)}.", CAUTION] if counts else []


class NonAlignedGainLeast(Claim):
    """Gain in cosine of the other groups of pairs less that of the source language with others.

    At layer 8 of 12, the mean over variants but the word loss alone; over pairs that share languages.
    """

    statement: ClassVar[str] = (
        "Pairs of the source language with languages that were not aligned (G3) gain the least cosine."
    )
    source: ClassVar[str] = f"{study.SOURCE}, claim C6"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """One part: all other pairs less those of the group."""
        gains, own = self._gains(view), self._own(view)
        if not gains or not own:
            reason = study.lacking(view, PROBE, all_but_word())
            reason = "needs a group G3 of pairs" if gains else reason
            yield Part("other groups less G3", Effect(None, reason=reason))
            return
        others = {pair: gain for pair, gain in gains.items() if pair not in own}
        inside = {pair: gain for pair, gain in gains.items() if pair in own}
        yield Part("other groups less G3", view.over_pairs(others, inside))

    def remarks(self, view: ClaimView) -> Iterable[str]:
        """The mean gain of each group."""
        gains = self._gains(view)
        means = []
        for name, pairs in view.groups.items():
            found = [gains[pair] for pair in pairs if pair in gains]
            if found:
                means.append(f"{name.split(':')[0]} {sum(found) / len(found):+.3f}")
        return [f"Mean gains: {', '.join(means)}."] if means else []

    @staticmethod
    def _own(view: ClaimView) -> set[str]:
        named = [pairs for name, pairs in view.groups.items() if name.startswith(NON_ALIGNED)]
        return {pair for pairs in named for pair in pairs}

    @staticmethod
    def _gains(view: ClaimView) -> dict[str, float]:
        weights = study.change_of(study.mean_of(all_but_word()))
        return cosine_changes(view, weights)


class MiddleLayerMoves(Claim):
    """Changes of distances of translations by layer and variant, over pairs of languages.

    ``sentence_cosine_distance`` and ``word_isolation_cosine_distance`` at layers 4, 8 and 12 of 12,
    aligned less untouched, the mean over all variants unless one is named. That the other layers
    rise, or are mixed, is read as: they fall less than layer 8.
    """

    statement: ClassVar[str] = (
        "Distances fall at layer 8 of 12 and less, or not at all, at layers 4 and 12; the word loss "
        "alone raises them most, and masked language modelling alone changes them least."
    )
    source: ClassVar[str] = f"{study.SOURCE}, claim C7"

    def check(self, view: ClaimView) -> Iterable[Part]:
        """Parts for sentences and for words."""
        variants = [study.encoder(switches) for switches in study.every() if any(switches)]
        everything = study.mean_of(variants)
        for words, unit in UNITS.items():
            change = study.change_of(everything)
            middle = self._changes(view, unit, study.MIDDLE, change)
            yield Part(f"{words}, layer 8 of 12", self._over(view, middle), "below")
            for layer, depth in ((4, LOWER), (12, UPPER)):
                other = self._changes(view, unit, depth, change)
                difference = {pair: other[pair] - middle[pair] for pair in other if pair in middle}
                yield Part(f"{words}, layer {layer} less layer 8", self._over(view, difference))
            rest = study.mean_of(name for name in variants if name != study.WORD)
            most = study.minus({study.WORD: 1.0}, rest)
            raised = self._changes(view, unit, study.MIDDLE, most)
            yield Part(f"{words}, word loss less others", self._over(view, raised))
            yield Part(f"{words}, others less masked LM", self._over(view, self._sizes(view, unit)))

    @staticmethod
    def _changes(
        view: ClaimView, unit: str, depth: float, weights: Mapping[str, float]
    ) -> dict[str, float]:
        metric = f"{unit}_cosine_distance"
        return study.in_groups(view, view.measured(DISTANCES, metric, weights, depth))

    def _sizes(self, view: ClaimView, unit: str) -> dict[str, float]:
        """Pair -> the size of the others' changes, the mean, less that of masked language modelling."""
        sizes = {}
        for switches in study.every():
            name = study.encoder(switches)
            if name != UNTOUCHED:
                found = self._changes(view, unit, study.MIDDLE, study.change_of({name: 1.0}))
                sizes[name] = {pair: abs(value) for pair, value in found.items()}
        own = sizes.pop(study.MASKED_LM)
        shared = [pair for pair in own if all(pair in each for each in sizes.values())]
        return {
            pair: sum(each[pair] for each in sizes.values()) / len(sizes) - own[pair]
            for pair in shared
        }

    @staticmethod
    def _over(view: ClaimView, values: Mapping[str, float]) -> Effect:
        variants = [study.encoder(switches) for switches in study.every()]
        return study.over_pairs(view, values, study.lacking(view, DISTANCES, variants))
