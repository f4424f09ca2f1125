"""The reference study's words: its variants, tasks and modes, and contrasts of them."""

from collections.abc import Iterable, Mapping, Sequence

from xbench.api.claim import UNTOUCHED, Average, ClaimView, Effect

SOURCE = "arXiv 2603.18863"
TASKS = {"pos": "word", "topic": "sentence"}
"""Task -> the level that it is about."""
MODES = ("full", "linear")
LOSSES = {"sentence": 0, "word": 1, "mlm": 2}
"""Loss -> the place of its switch in a variant's name."""

SENTENCE, WORD, MASKED_LM = "hictl:S1W0M0", "hictl:S0W1M0", "hictl:S0W0M1"
MIDDLE = 2 / 3
"""Layer 8 of 12."""


def encoder(switches: Sequence[int]) -> str:
    """(1, 0, 0) -> ``hictl:S1W0M0``; all off is the untouched encoder."""
    if not any(switches):
        return UNTOUCHED
    return "hictl:" + "".join(f"{letter}{on}" for letter, on in zip("SWM", switches, strict=True))


def every() -> list[tuple[int, int, int]]:
    """The switches of all variants, and of the untouched encoder."""
    return [(s, w, m) for s in (0, 1) for w in (0, 1) for m in (0, 1)]


def variants_with(loss: str) -> list[str]:
    """Variants that have a loss."""
    return [encoder(switches) for switches in every() if switches[LOSSES[loss]]]


def main_effect(loss: str) -> Mapping[str, float]:
    """Encoder -> weight: a loss switched on less off, the mean over the other switches."""
    return {encoder(switches): 0.25 if switches[LOSSES[loss]] else -0.25 for switches in every()}


def averages(task: str, mode: str, weights: Mapping[str, float]) -> list[Average]:
    """The contrast of encoders in one task and mode."""
    return [Average(weight, task, mode, name) for name, weight in sorted(weights.items()) if weight]


def gain(task: str, mode: str, name: str, over: str = UNTOUCHED) -> list[Average]:
    """An encoder's score less that of another."""
    return averages(task, mode, {name: 1.0, over: -1.0})


def minus(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """The difference of two contrasts."""
    return {name: first.get(name, 0.0) - second.get(name, 0.0) for name in {*first, *second}}


def panels() -> list[tuple[str, str]]:
    """(task, mode) of the study."""
    return [(task, mode) for task in TASKS for mode in MODES]


def mean_of(names: Iterable[str]) -> dict[str, float]:
    """Equal weights that add up to 1."""
    chosen = list(names)
    return dict.fromkeys(chosen, 1 / len(chosen))


def change_of(weights: Mapping[str, float]) -> dict[str, float]:
    """A contrast less the untouched encoder."""
    return minus(weights, {UNTOUCHED: 1.0})


def in_groups(view: ClaimView, values: Mapping[str, float]) -> dict[str, float]:
    """Those of the suite's groups of pairs; all where it has no groups."""
    named = {pair for pairs in view.groups.values() for pair in pairs}
    return {pair: value for pair, value in values.items() if not named or pair in named}


def over_pairs(view: ClaimView, values: Mapping[str, float], lacking: str) -> Effect:
    """The mean over pairs of languages; ``lacking`` is the reason where there are none."""
    if not values:
        return Effect(None, unit="pairs of languages", reason=lacking)
    return view.over_pairs(values)


def over_languages(view: ClaimView, values: Mapping[str, float], lacking: str) -> Effect:
    """The mean over languages."""
    if not values:
        return Effect(None, unit="languages", reason=lacking)
    return view.over([values[name] for name in sorted(values)], "languages")


def lacking(view: ClaimView, probe: str, names: Iterable[str]) -> str:
    """What a run without a probe's values of these encoders needs: the encoders, or the probe."""
    absent = sorted(name for name in names if name not in view.encoders)
    return f"needs {', '.join(absent)}" if absent else f"needs the probe {probe} of all encoders"
