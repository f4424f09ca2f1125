"""A run as claims see it: contrasts by hand, gaps, and what probes measured."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from xbench.api.claim import Average
from xbench.report.claims.view import RunView
from xbench.report.results.background import Background
from xbench.report.results.changes import accuracy_changes, measure_changes
from xbench.report.results.probe_rows import Measure, read_probes
from xbench.report.results.reading import COLUMNS, read_results
from xbench.report.results.results import Run, Selection
from xbench.report.statistics.inference import interval
from xbench.report.statistics.run_noise import effect_over
from xbench.report.statistics.stats import correlations, paired_t_interval

from .conftest import Make
from .probed import BACKGROUND, SOURCE, frame, study

FULL = ("pos", "full")


def gain(name: str, **options: Any) -> list[Average]:
    return [Average(1.0, *FULL, name, **options), Average(-1.0, *FULL, "none", **options)]


def seen(rows: Any, source: str | None = "eng") -> RunView:
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    return RunView(table, Selection(), Background(), source)


def test_a_contrast_is_the_paired_t_test_of_means(study: pd.DataFrame) -> None:
    """The third variant of deu-eng has thrice the slope over seeds; kaz-kor's six times."""
    effect = seen(study).contrast(gain("hictl:S1W0M0"))
    third, sixth = (np.array([-0.01, 0.0, 0.01]) * (1 + place) for place in (2, 5))
    base = np.array([-0.01, 0.0, 0.01])
    expected = (0.01 + third + 0.04 + sixth) / 2 - base
    assert effect.value == pytest.approx(expected.mean())
    assert interval(effect) == pytest.approx(paired_t_interval(expected.tolist()))
    assert (effect.n, effect.unit, effect.test) == (3, "fine-tuning seeds", "paired t")


def test_names_and_pairs(study: pd.DataFrame) -> None:
    found = seen(study)
    variants = ("S0W1M0", "S0W0M1", "S1W0M0")
    assert set(found.encoders) == {
        "none",
        *(f"hictl:{variant}" for variant in variants),
        "shuffled hictl:S1W0M0",
    }
    assert found.pairs == ("deu-eng", "kaz-kor")
    assert found.source == "eng"


def test_a_contrast_is_over_the_pairs_that_all_have(study: pd.DataFrame) -> None:
    """The placebo has deu-eng alone: the aligned encoder of kaz-kor takes no part."""
    averages = [
        Average(1.0, *FULL, "hictl:S1W0M0"),
        Average(-1.0, *FULL, "shuffled hictl:S1W0M0"),
    ]
    assert seen(study).contrast(averages).value == pytest.approx(0.01 + 0.02)


def test_a_gap_leaves_no_effect_and_is_named(study: pd.DataFrame) -> None:
    found = seen(study)
    topics = [Average(1.0, "topic", "full", "hictl:S0W1M0"), Average(-1.0, "topic", "full", "none")]
    effect = found.contrast(topics)
    assert effect.value is None
    assert effect.reason == "lacks hictl:S0W1M0 kaz-kor topic full deu 33 and 2 more"
    only = [Average(a.weight, a.task, a.mode, a.encoder, ("deu",)) for a in topics]
    assert found.contrast(only).reason == "lacks hictl:S0W1M0 kaz-kor topic full deu 33"


@pytest.mark.parametrize(
    ("averages", "reason"),
    [
        ([Average(1.0, "ner", "full", "none")], "needs task ner in mode full"),
        (gain("other:A"), "needs other:A"),
        ([Average(1.0, *FULL, "none"), Average(1.0, "ner", "linear", "x")], "needs task ner in"),
    ],
)
def test_what_a_run_lacks_is_named(
    study: pd.DataFrame, averages: list[Average], reason: str
) -> None:
    effect = seen(study).contrast(averages)
    assert effect.value is None
    assert effect.reason.startswith(reason)


def test_seeds_are_paired_over_those_that_all_have(make: type[Make]) -> None:
    """Linear heads were trained with two of the three seeds."""
    rows = make.block(value=make.score(0.5))
    linear = make.block(value=make.score(0.4, 3.0), mode="linear")
    rows += [row for row in linear if row["seed"] != 42]
    both = [Average(1.0, "pos", "full", "none"), Average(-1.0, "pos", "linear", "none")]
    effect = seen(rows).contrast(both)
    assert effect.n == 2
    assert effect.value == pytest.approx(np.mean([0.1 - 0.01 + 0.03, 0.1]))


def test_alignment_seeds_are_averaged_and_a_lacking_one_is_a_gap(make: type[Make]) -> None:
    rows = make.block(value=make.score(0.5))
    for align_seed, base in ((42, 0.6), (43, 0.7)):
        rows += make.block(value=make.score(base), **make.aligned("A", align_seed=align_seed))
    found = seen(rows)
    assert found.contrast(gain("hictl:A")).value == pytest.approx(0.15)
    lost = rows[-1]
    lost |= {"status": "missing", "value": None}
    place = ("deu-eng", lost["language"], lost["seed"])
    assert place not in seen(rows).scores("pos", "full", "hictl:A")


def test_alignment_seeds_vary_in_a_contrast(make: type[Make]) -> None:
    """By hand: alignments gain .1, .3 and .2, fine-tuning seeds .19, .2 and .21."""
    rows = make.block(value=make.score(0.4))
    for align_seed, base in ((42, 0.5), (43, 0.7), (44, 0.6)):
        rows += make.block(value=make.score(base, 2.0), **make.aligned("A", align_seed=align_seed))
    effect = seen(rows).contrast(gain("hictl:A"))
    assert effect.value == pytest.approx(0.2)
    assert effect.error == pytest.approx((0.01 / 3 + 0.0001 / 3) ** 0.5)
    assert (effect.n, effect.unit) == (3, "seeds of each kind")
    assert effect.test == "crossed t (3 alignment x 3 fine-tuning)"
    rows[-1] |= {"status": "failed", "value": None}
    assert seen(rows).contrast(gain("hictl:A")).reason == (
        "lacks hictl:A deu-eng pos full kaz align seed 44 42"
    )


def test_heads_on_one_frozen_encoder_decide_no_claim(make: type[Make]) -> None:
    """With one alignment seed the noise in mode linear is that of heads alone."""
    rows = make.block(value=make.score(0.4)) + make.block(value=make.score(0.4), mode="linear")
    for mode in ("full", "linear"):
        rows += make.block(value=make.score(0.6, 2.0), mode=mode, **make.aligned("A"))
    linear = [Average(1.0, "pos", "linear", "hictl:A"), Average(-1.0, "pos", "linear", "none")]
    effect = seen(rows).contrast(linear)
    assert (effect.value, effect.error) == (pytest.approx(0.2), None)
    assert effect.reason.startswith("needs several alignment seeds in mode linear")
    assert seen(rows).contrast(gain("hictl:A")).error is not None
    untouched = [Average(1.0, "pos", "linear", "none"), Average(-1.0, "pos", "full", "none")]
    assert not seen(rows).contrast(untouched).reason.startswith("needs")
    rows += [r | {"align_seed": 43, "key": f"{r['key']}43"} for r in rows if r["variant"] == "A"]
    assert seen(rows).contrast(linear).error is not None


def test_what_is_measured_by_seed_is_measured_in_each_alignment(make: type[Make]) -> None:
    """The largest score of a seed: not that of scores averaged over alignments."""

    def largest(view: RunView) -> dict[int, float]:
        scores = view.scores("pos", "full", "hictl:A")
        return {s: max(v for (_, _, seed), v in scores.items() if seed == s) for s in make.seeds}

    rows = make.block(value=make.score(0.3))
    for seed, base in ((42, 0.4), (43, 0.6), (44, 0.5)):
        value = lambda la, s, base=base: base + 0.1 * (la == "deu") + s / 1000  # noqa: E731
        swapped = value if seed != 43 else lambda la, s: 0.6 + 0.1 * (la == "eng") + s / 1000
        rows += make.block(value=swapped, **make.aligned("A", align_seed=seed))
    effect = seen(rows).over_seeds(largest, ["full"], "needs A")
    assert effect.value == pytest.approx(0.6 + 0.03)
    expected = effect_over(
        {
            Run(s, a): b + 0.1 + s / 1000
            for a, b in ((42, 0.4), (43, 0.6), (44, 0.5))
            for s in make.seeds
        }
    )
    assert (effect.error, effect.n) == (pytest.approx(expected.error), 3)
    one = [row for row in rows if row["align_seed"] in (None, 42)]
    assert seen(one).over_seeds(largest, ["full", "linear"], "needs A").error is not None
    assert seen(one).over_seeds(largest, ["linear"], "needs A").reason.startswith("needs several")
    assert seen(rows).over_seeds(lambda view: {}, ["full"], "needs A").reason == "needs A"
    lost = [r | {"status": "failed", "value": None} if r["align_seed"] == 44 else r for r in rows]

    def first(view: RunView) -> dict[int, float]:
        scores = view.scores("pos", "full", "hictl:A")
        return {seed: value for (_, _, seed), value in scores.items()}

    assert seen(lost).over_seeds(first, ["full"], "needs A").reason == "lacks align seed 44"


def test_encoders_of_joint_training_are_not_those_of_alignment(make: type[Make]) -> None:
    rows = make.block() + make.block(**make.aligned("A", align_seed=None, align_step=None))
    assert "during hictl:A" in seen(rows).encoders


def test_disjoint_pairs_have_no_contrast(make: type[Make]) -> None:
    rows = make.block(**make.aligned("A")) + make.block(**make.aligned("B", pair="kaz-kor"))
    both = [Average(1.0, *FULL, "hictl:A"), Average(-1.0, *FULL, "hictl:B")]
    assert "different pairs" in seen(rows).contrast(both).reason


def test_an_empty_run_has_nothing_and_says_so() -> None:
    found = seen(pd.DataFrame(columns=[*COLUMNS]))
    assert found.encoders == found.pairs == ()
    assert found.scores("pos", "full", "none") == {}
    assert found.measured("finder", "cosine", {"none": 1.0}) == {}
    assert found.contrast(gain("hictl:A")).reason == "needs task pos in mode full"
    assert found.association("pos", "full", "finder", "cosine").reason


def test_the_frame_is_a_copy(study: pd.DataFrame) -> None:
    found = seen(study)
    own = found.frame
    own["value"] = 0.0
    assert found.contrast(gain("hictl:S1W0M0")).value != 0.0


# Probes.


def probed(**options: Any) -> pd.DataFrame:
    """Cosines by layer; each variant adds a hundredth more, alignment on kaz-kor a tenth."""

    def cosine(encoder: Any, language: str, layer: int) -> float:
        if not encoder:
            return 0.3 + layer / 100
        more = {"S0W1M0": 0.01, "S0W0M1": 0.02, "S1W0M0": 0.03}[encoder["variant"]]
        return 0.3 + layer / 100 + more + (0.1 if encoder["pair"] == "kaz-kor" else 0.0)

    def accuracy(encoder: Any, language: str, seed: int) -> float:
        own = sum(map(ord, language + encoder.get("variant", "") + encoder.get("pair", "")))
        return 0.5 + (own % 17) / 100 + (seed % 7) / 1000

    return frame(study(accuracy, cosine, **options))


def view_of(table: pd.DataFrame, **changes: Any) -> RunView:
    background = Background(groups=BACKGROUND.groups, **changes)
    return RunView(table, Selection(), background, SOURCE)


def test_measured_changes_are_means_over_pairs() -> None:
    weights = {"hictl:S1W0M0": 1.0, "none": -1.0}
    found = view_of(probed()).measured("finder", "cosine", weights, 2 / 3)
    assert found["deu-eng"] == pytest.approx(0.03 + 0.05)
    one = view_of(probed()).measured("finder", "cosine", weights, 2 / 3, pairs=("deu-eng",))
    assert one["deu-eng"] == pytest.approx(0.03)
    assert "spa-bul" in found


@pytest.mark.parametrize(
    ("depth", "layers", "layer"), [(1.0, None, 12), (0.5, 12, 8), (0.5, 24, 12)]
)
def test_the_measured_layer_nearest_to_a_depth_is_read(
    depth: float, layers: int | None, layer: int
) -> None:
    found = view_of(probed(), layers=layers).measured("finder", "cosine", {"none": 1.0}, depth)
    assert found["kaz-eng"] == pytest.approx(0.3 + layer / 100)


def test_conditions_and_layers_are_told_apart() -> None:
    """Agreement is of encoders whose task's head was fitted, of no layer."""
    found = view_of(probed())
    assert found.measured("slopes", "agreement", {"hictl:S1W0M0": 1.0}) == {}
    of_task = found.measured("slopes", "agreement", {"hictl:S1W0M0": 1.0}, task="pos")
    assert of_task["deu"] == pytest.approx((0.38 + 0.03 + 0.05) / 10)
    assert found.measured("slopes", "agreement", {"none": 1.0}, task="pos") == {}
    assert found.measured("finder", "cosine", {"none": 1.0}) == {}


def test_fine_tuned_checkpoints_are_no_part_of_a_change() -> None:
    table = probed(finetuned=True)
    weights = {"hictl:S1W0M0": 1.0, "none": -1.0}
    assert view_of(table).measured("finder", "cosine", weights, 2 / 3)["deu-eng"] == pytest.approx(
        0.08
    )


def test_an_association_is_the_pooled_correlation() -> None:
    table = probed()
    effect = view_of(table).association("pos", "full", "finder", "cosine", 2 / 3)
    results = read_results(table, Selection())
    probes = read_probes(table, Selection(), {("finder", "cosine")})
    scores = accuracy_changes(results, FULL, SOURCE).of
    changes = measure_changes(probes, Measure("finder", "cosine", 8), (None, None), SOURCE).of
    shared = [name for name in scores if name in changes]
    first, second = ([of[name] for name in shared] for of in (changes, scores))
    pooled = correlations(first, second, [name[-1] for name in shared]).pooled
    assert effect.value == pytest.approx(pooled.value)
    assert interval(effect) == pytest.approx((pooled.low, pooled.high))
    assert (effect.n, effect.correlation) == (7, True)


def test_associations_that_cannot_be_say_why() -> None:
    found = view_of(probed())
    for metric, words in (("agreement", "untouched"), ("other", "needs the probe")):
        probe = "slopes" if metric == "agreement" else "finder"
        assert words in found.association("pos", "full", probe, metric).reason
    assert "needs task ner" in found.association("ner", "full", "finder", "cosine", 1.0).reason


def test_a_plugins_own_numbers_are_tested() -> None:
    found = view_of(probed())
    assert found.over([0.1, 0.3], "languages").value == pytest.approx(0.2)
    both = found.between([0.1, 0.3], [0.0, 0.2, 0.1], "languages")
    assert (both.value, both.test) == (pytest.approx(0.1), "Welch's t")


def test_several_encoders_of_a_name_count_alike() -> None:
    """Weights are of names: pairs and alignment seeds are averaged before."""
    table = probed()
    second = table[table["arm"] == "aligned"].assign(align_seed=43)
    second = second.assign(value=second["value"] + 0.02, key=second["key"] + "/43")
    both = pd.concat([table, second], ignore_index=True)
    weights = {"hictl:S1W0M0": 1.0, "none": -1.0}
    found = view_of(both).measured("finder", "cosine", weights, 2 / 3)
    for code in ("deu", "kaz"):
        assert found[f"{code}-eng"] == pytest.approx(0.09)
