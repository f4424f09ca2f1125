"""Each claim of the study on made-up studies in which it is true, false, or cannot be told."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from xbench.api.claim import Claim
from xbench.report.claims.verdicts import Judged, judge
from xbench_plugins.claims import accuracy, gradients, prediction, propositions, representations
from xbench_plugins.claims.study import every, main_effect

from . import studied

Change = Callable[..., float]


def verdict(claim: type[Claim], rows: list[studied.Row]) -> Judged:
    return judge({"it": claim()}, studied.view(rows))[0]


def has(loss: str, variant: str) -> bool:
    return variant[variant.index(loss) + 1] == "1"


def aligned(change: Change) -> Change:
    """A change that wrongly paired sentences do not bring."""
    return lambda **place: change(**place) if place["arm"] == "aligned" else 0.0


def word_alone(size: float) -> Change:
    return lambda **place: size if place["variant"] == "S0W1M0" else 0.02


def by_level(sign: float) -> Change:
    """The loss of the task's level gains 3 points, others 1."""

    def change(**place: Any) -> float:
        own, other = ("W", "S") if place["task"] == "pos" else ("S", "W")
        gains = {own: 0.03, other: 0.01, "M": 0.01}
        return sign * sum(gain for loss, gain in gains.items() if has(loss, place["variant"]))

    return change


def masked(size: float) -> Change:
    return lambda **place: size * has("M", place["variant"])


def mixed_in(mode: str) -> Change:
    """All changes go up in the other mode; in this one those of some variants go down."""

    def change(**place: Any) -> float:
        fewer = ("S1W0M1", "S1W1M1") if place["seed"] % 2 else ("S1W0M1", "S1W1M1", "S0W1M1")
        return -0.03 if place["mode"] == mode and place["variant"] in fewer else 0.03

    return change


def better_in(mode: str) -> Change:
    return lambda **place: 0.1 if place["mode"] == mode else 0.0


def by_script(size: float) -> Change:
    """Languages in a script of the aligned pair gain by ``size``, in tagging alone."""

    def change(**place: Any) -> float:
        scripts = {studied.SCRIPTS[code] for code in place["pair"].split("-")}
        shares = studied.SCRIPTS[place["language"]] in scripts
        return size if shares and place["task"] == "pos" else 0.0

    return change


def levels(size: float) -> Change:
    def change(**place: Any) -> float:
        fits = (place["variant"], place["task"]) in (("S1W0M0", "topic"), ("S0W1M0", "pos"))
        return size if fits else 0.0

    return change


def sentences(size: float) -> Change:
    return lambda **place: size * has("S", place["variant"])


several = partial(studied.score_rows, seeds=studied.SEEDS[:4], align_seeds=studied.ALIGN_SEEDS)
"""Rows of three alignments: of one, nothing is tested in mode linear."""

SCORES = [
    (accuracy.WordLossAloneHarms, word_alone(-0.03), word_alone(0.03)),
    (accuracy.SentenceLossHelps, sentences(0.02), sentences(-0.02)),
    (accuracy.MatchingLevelGainsMost, by_level(1), by_level(-1)),
    (accuracy.MaskedLMHelps, masked(0.02), masked(-0.02)),
    (accuracy.FullIsLessConsistent, mixed_in("full"), mixed_in("linear")),
    (propositions.LevelsCaptureDifferentProperties, levels(0.03), levels(-0.03)),
    (propositions.RightPairsMatter, aligned(sentences(0.02)), aligned(sentences(-0.02))),
]


@pytest.mark.parametrize(("claim", "true", "false"), SCORES)
def test_scores_decide(claim: type[Claim], true: Change, false: Change) -> None:
    assert verdict(claim, several(true)).verdict == "supported"
    assert verdict(claim, several(false)).verdict == "contradicted"


@pytest.mark.parametrize("claim", [claim for claim, *_ in SCORES])
def test_noise_decides_nothing(claim: type[Claim]) -> None:
    found = verdict(claim, several(studied.nothing))
    assert found.verdict == "undecided"
    assert any("seeds of each kind" in line for line in found.needed)


@pytest.mark.parametrize("claim", [claim for claim, *_ in SCORES])
def test_heads_of_one_alignment_show_nothing_with_a_frozen_encoder(claim: type[Claim]) -> None:
    """Whatever the effect: what such a run says of mode linear, another alignment may deny."""
    for rows in (
        studied.score_rows(change)
        for name, *changes in SCORES
        if name is claim
        for change in changes
    ):
        found = verdict(claim, rows)
        assert found.verdict != "supported" or claim is accuracy.FullIsLessConsistent
        for part in (each.part for each in found.parts):
            if part.about.endswith("linear"):
                assert part.effect.error is None
                assert "needs several alignment seeds" in part.effect.reason


@pytest.mark.parametrize("claim", [claim for claim, *_ in SCORES])
def test_a_single_seed_decides_nothing_and_says_so(claim: type[Claim]) -> None:
    found = verdict(claim, several(word_alone(-0.2), seeds=(15,)))
    assert found.verdict == "undecided"
    assert found.p is None
    assert any("run more" in line for line in found.needed)


def test_fine_tuning_helps_where_full_scores_are_higher() -> None:
    rows = studied.score_rows(studied.nothing)
    for mode, word in (("full", "supported"), ("linear", "contradicted")):
        raised = [r | {"value": r["value"] + 0.1 * (r["mode"] == mode)} for r in rows]
        assert verdict(propositions.FineTuningAlwaysHelps, raised).verdict == word


@pytest.mark.parametrize(("size", "word"), [(0.05, "supported"), (0.0, "contradicted")])
def test_script_matters_by_task(size: float, word: str) -> None:
    """No difference is a finding as well, where it is surely smaller than half a point."""
    rows = several(by_script(size), spread=0.0005)
    found = verdict(propositions.ScriptMattersByTask, rows)
    assert found.verdict == word
    if size:
        assert found.parts[0].part.effect.value == pytest.approx(size, abs=0.001)


def test_seen_languages_are_neither_of_the_script_nor_of_others() -> None:
    """hin-kaz: bul and rus share Cyrillic, deu and spa do not; hin, kaz and the source are seen."""
    rows = [
        row
        for row in studied.score_rows(by_script(0.05), spread=0.0)
        if row.get("pair") in (None, "hin-kaz")
    ]
    for row in rows:  # what seen languages gain must not matter
        if row["language"] in ("hin", "kaz", "eng") and row["arm"] != "none":
            row["value"] += 0.002 * row["seed"]
    found = verdict(propositions.ScriptMattersByTask, rows)
    assert found.parts[0].part.effect.value == pytest.approx(0.05)


def cosines(word: float, others: float = 0.1) -> list[studied.Row]:
    def change(**place: Any) -> float:
        return word if place["variant"] == "S0W1M0" else others

    return studied.probe_rows("retrieval", "mean_cosine", change)


def test_cosines_rise_but_for_the_word_loss() -> None:
    claim = representations.CosineRises
    found = verdict(claim, cosines(-0.05))
    assert found.verdict == "supported"
    assert "hictl:S0W1M0 0 of 8" in found.remarks[0]
    assert "hictl:S1W0M0 8 of 8" in found.remarks[0]
    assert verdict(claim, cosines(0.2)).verdict == "contradicted"
    assert verdict(claim, cosines(-0.05, others=-0.1)).verdict == "contradicted"


def grouped(group: float, others: float) -> list[studied.Row]:
    def change(**place: Any) -> float:
        return group if place["language"] in studied.GROUPS["G3: non-aligned"] else others

    return studied.probe_rows("retrieval", "mean_cosine", change)


def test_the_non_aligned_gain_least() -> None:
    claim = representations.NonAlignedGainLeast
    found = verdict(claim, grouped(0.02, 0.1))
    assert found.verdict == "supported"
    assert found.parts[0].part.effect.test == "t of a model with random languages"
    assert "G3 +0.019" in found.remarks[0]
    assert verdict(claim, grouped(0.1, 0.02)).verdict == "contradicted"


def distances(sign: float) -> list[studied.Row]:
    def change(**place: Any) -> float:
        if place["layer"] != 8:
            return 0.0
        return sign * {"S0W1M0": 0.1, "S0W0M1": -0.01}.get(place["variant"], -0.08)

    return [
        row
        for unit in ("sentence", "word_isolation")
        for row in studied.probe_rows("distances", f"{unit}_cosine_distance", change)
    ]


def test_the_middle_layer_moves() -> None:
    claim = representations.MiddleLayerMoves
    assert verdict(claim, distances(1.0)).verdict == "supported"
    assert verdict(claim, distances(-1.0)).verdict == "contradicted"


def slopes(topic: float, pos: float) -> list[studied.Row]:
    def cosine(**place: Any) -> float:
        value = topic if place["task"] == "topic" else pos
        value += 0.02 if place["pair"] == "hin-kaz" else 0.0
        return value + (0.05 if has("S", place["variant"]) and place["task"] == "topic" else 0.0)

    return studied.gradient_rows(cosine)


def test_gradients_agree_by_task() -> None:
    claim = gradients.GradientsAgreeByTask
    assert verdict(claim, slopes(0.2, -0.1)).verdict == "supported"
    assert verdict(claim, slopes(0.2, 0.3)).verdict == "contradicted"


def related(strength: float, claim: Any) -> list[studied.Row]:
    """Scores and a measure whose changes go together with ``strength``, by variant and language."""

    def moved(**place: Any) -> float:
        code = place["language"].removesuffix("-eng")
        return 0.02 * studied.noise(place["variant"], place["pair"], code)

    def score(**place: Any) -> float:
        own = 0.02 * studied.noise("own", place["variant"], place["pair"], place["language"])
        return strength * moved(**place) + (1 - abs(strength)) * own

    return [*studied.score_rows(score), *studied.probe_rows(claim.probe, claim.metric, moved)]


@pytest.mark.parametrize(
    "claim", [prediction.DistanceDoesNotPredict, prediction.SimilarityDoesNotPredict]
)
def test_what_predicts_contradicts(claim: Any) -> None:
    found = verdict(claim, related(1.0, claim))
    assert found.verdict == "contradicted"
    assert all(each.part.effect.n == len(studied.TARGETS) for each in found.parts)
    assert verdict(claim, related(0.0, claim)).verdict != "contradicted"


def test_main_effects_are_those_of_a_factorial() -> None:
    """Each loss with its own gain and nothing else: main effects recover the gains."""
    gains = {"sentence": 0.03, "word": -0.02, "mlm": 0.01}
    for loss, gain in gains.items():
        weights = main_effect(loss)
        assert sum(weights.values()) == pytest.approx(0.0)
        total = 0.0
        for switches, weight in zip(every(), weights.values(), strict=True):
            total += weight * sum(g * on for g, on in zip(gains.values(), switches, strict=True))
        assert total == pytest.approx(gain)


def test_lacking_encoders_and_tasks_are_named() -> None:
    rows = [
        row
        for row in several(word_alone(-0.03))
        if row["task"] == "pos" and row.get("variant") != "S1W1M1"
    ]
    found = verdict(accuracy.SentenceLossHelps, rows)
    assert found.verdict == "undecided"
    needs = next(line for line in found.needed if line.startswith("needs"))
    assert needs == "needs hictl:S1W1M1, task topic in mode full, task topic in mode linear"


def test_one_part_against_it_contradicts_even_where_others_are_lacking() -> None:
    rows = [row for row in studied.score_rows(word_alone(0.05)) if row["task"] == "pos"]
    assert verdict(accuracy.WordLossAloneHarms, rows).verdict == "contradicted"
