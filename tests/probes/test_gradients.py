"""The probe of gradients: against autograd flattened by hand, and against known truths."""

import gc
import math
import statistics
import weakref
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from xbench.api.probe import Row
from xbench_plugins.probes.gradients import SECOND, GradientAgreement

from .fake_gradients import PLACES, FakeGradients, FakeView, NoisyGradients

Found = dict[tuple[str, str | None, int | None], Row]


def measured(gradients: FakeGradients, *languages: str, **config: Any) -> Found:
    """(metric, language, layer) -> row; no place is written twice."""
    probe = GradientAgreement(GradientAgreement.Config(**config))
    rows = list(probe.measure(FakeView(gradients, languages or ("eng", "deu"))))
    found = {(row.metric, row.language, row.layer): row for row in rows}
    assert len(found) == len(rows)
    return found


def flat(gradient: dict[str, Tensor], names: list[str]) -> Tensor:
    return torch.cat([gradient[name].double().flatten() for name in names])


def by_hand(a: list[Tensor], b: list[Tensor]) -> dict[str, float | None]:
    """The definitions, on vectors and for two parts each."""
    g, h = sum(a) / 2, sum(b) / 2
    numerator = sum(float(x @ y) for x in a for y in b) / 4
    signals = float(a[0] @ a[1]), float(b[0] @ b[1])
    corrected = numerator / math.sqrt(signals[0] * signals[1]) if min(signals) > 0 else None
    return {
        "cosine": float(g @ h / (g.norm() * h.norm())),
        "cosine_corrected": corrected,
        "norm_ratio": float(h.norm() / g.norm()),
        "norm_similarity": float(2 * g.norm() * h.norm() / (g.norm() ** 2 + h.norm() ** 2)),
        "interference": float(g @ h / h.norm()),
        "norm_first": float(g.norm()),
        "norm_second": float(h.norm()),
        "ceiling_first": float(a[0] @ a[1] / (a[0].norm() * a[1].norm())),
        "ceiling_second": float(b[0] @ b[1] / (b[0].norm() * b[1].norm())),
    }


def parts_of(gradients: FakeGradients, comparison: str, language: str) -> tuple[Any, Any]:
    """The two parts of each of the gradients that a comparison is about."""
    task, masked = gradients.of_task, gradients.of_masked_lm
    first = (task if comparison.startswith("task") else masked, language)
    second = {
        "objective": lambda part: gradients.of_objective(part, 4),
        "source_task": lambda part: task("eng", part, 4),
        "source_masked_lm": lambda part: masked("eng", part, 4),
    }[SECOND[comparison]]
    return [first[0](first[1], part, 4) for part in (0, 1)], [second(part) for part in (2, 3)]


KINDS = ("embeddings", "attention", "feed_forward", "norm")


@pytest.mark.parametrize("language", ["eng", "deu"])
@pytest.mark.parametrize("comparison", SECOND)
def test_every_number_is_autograds_flattened_by_hand(comparison: str, language: str) -> None:
    gradients = FakeGradients()
    rows = measured(gradients)
    first, second = parts_of(gradients, comparison, language)
    names = list(PLACES)
    scopes: dict[tuple[str, int | None], list[str]] = {
        ("", None): names,
        ("_without_embeddings", None): names[1:],
        **{("", layer): [n for n in names if PLACES[n][0] == layer] for layer in (1, 2)},
        **{(f"_{kind}", None): [n for n in names if PLACES[n][1] == kind] for kind in KINDS},
    }
    for (suffix, layer), members in scopes.items():
        wanted = by_hand(*([flat(part, members) for part in half] for half in (first, second)))
        for metric, value in wanted.items():
            place = (f"{comparison}_{metric}{suffix}", language, layer)
            if layer is None and suffix in ("", "_without_embeddings"):
                assert place in rows
            if place in rows and value is None:
                assert rows[place].value is None
            elif place in rows:
                assert rows[place].value == pytest.approx(value, rel=1e-6, abs=1e-9), place
        for metric in ("cosine", "cosine_corrected", "norm_ratio"):
            assert (f"{comparison}_{metric}{suffix}", language, layer) in rows


def test_conflict_rate_counts_layers() -> None:
    rows = measured(FakeGradients())
    for comparison in SECOND:
        cosines = [rows[f"{comparison}_cosine", "deu", layer].value for layer in (1, 2)]
        rate = rows[f"{comparison}_conflict_rate", "deu", None]
        assert rate.value == sum(c < 0 for c in cosines if c is not None) / 2
        assert rate.n == 2


def test_a_task_with_itself_on_four_disjoint_sets_is_near_one() -> None:
    """Signal 0.048 to noise 1 in each of four parts: plain 0.048 / (0.048 + 1/4), corrected 1."""
    rows = [measured(NoisyGradients(0.22, seed=seed), parts=8) for seed in range(20)]
    place = ("task_vs_source_task_cosine", "eng", None)
    plain = statistics.mean(float(found[place].value or 0) for found in rows)
    assert plain == pytest.approx(0.16, abs=0.03)
    corrected = ("task_vs_source_task_cosine_corrected", "eng", None)
    values = [float(found[corrected].value or 0) for found in rows]
    error = statistics.stdev(values) / math.sqrt(len(values))
    assert statistics.mean(values) == pytest.approx(1, abs=max(0.05, 3 * error))
    assert error < 0.05


def test_a_clear_signal_is_within_a_twentieth_of_one_each_time() -> None:
    for seed in range(10):
        rows = measured(NoisyGradients(1.0, seed=seed))
        plain = rows["task_vs_source_task_cosine", "eng", None].value
        corrected = rows["task_vs_source_task_cosine_corrected", "eng", None].value
        assert plain == pytest.approx(2 / 3, abs=0.05)
        assert corrected == pytest.approx(1, abs=0.05)


def test_independent_gradients_cover_zero() -> None:
    """400 values a parameter: sd of the corrected cosine is about 0.03."""
    values = [
        float(
            measured(NoisyGradients(1.0, seed=seed, shared=False))[
                "task_vs_objective_cosine_corrected", "deu", None
            ].value
            or 0
        )
        for seed in range(30)
    ]
    error = statistics.stdev(values) / math.sqrt(len(values))
    assert abs(statistics.mean(values)) < 3 * error
    assert error < 0.02


def test_noise_alone_is_undefined_about_three_times_in_four_and_says_why() -> None:
    """Both ceilings are positive by chance in one of four."""
    place = ("task_vs_objective_cosine_corrected", "deu", None)
    rows = [measured(NoisyGradients(0.0, seed=seed))[place] for seed in range(60)]
    undefined = [row for row in rows if row.value is None]
    assert 34 <= len(undefined) <= 55  # binomial (60, 3/4) but for 1 in 10,000
    assert all("cannot be told from noise" in row.reason for row in undefined)
    plain = [
        measured(NoisyGradients(0.0, seed=seed))["task_vs_objective_cosine", "deu", None].value
        for seed in range(3)
    ]
    assert None not in plain


class Altered(FakeGradients):
    """The objective's gradient, changed."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def of_objective(self, part: int, parts: int) -> dict[str, Tensor]:
        return {
            name: found
            for name, gradient in super().of_objective(part, parts).items()
            if (found := self.change(name, gradient)) is not None
        }


def test_a_zero_gradient_has_no_cosine() -> None:
    rows = measured(Altered(lambda name, gradient: torch.zeros_like(gradient)))
    for metric in ("cosine", "cosine_corrected", "interference", "ceiling_second"):
        row = rows[f"task_vs_objective_{metric}", "deu", None]
        assert row.value is None
        assert "gradient is zero" in row.reason
    assert rows["task_vs_objective_norm_second", "deu", None].value == 0
    assert rows["task_vs_objective_norm_ratio", "deu", None].value == 0
    rate = rows["task_vs_objective_conflict_rate", "deu", None]
    assert (rate.value, rate.n, rate.reason) == (None, 0, "no layer has a defined cosine")
    assert rows["task_vs_source_task_cosine", "deu", None].value is not None


def test_a_layer_that_the_objective_does_not_reach_is_undefined_alone() -> None:
    """Whether its gradient is zero or not there at all."""
    found = []
    for lacking in (torch.zeros_like, lambda gradient: None):

        def change(name: str, gradient: Tensor, lacking: Any = lacking) -> Tensor | None:
            replaced: Tensor | None = lacking(gradient) if PLACES[name][0] == 2 else gradient
            return replaced

        rows = measured(Altered(change))
        top = rows["task_vs_objective_cosine", "deu", 2]
        assert (top.value, top.reason) == (None, "the second gradient is zero")
        assert rows["task_vs_objective_cosine", "deu", 1].value is not None
        assert rows["task_vs_objective_conflict_rate", "deu", None].n == 1
        found.append({place: row.value for place, row in rows.items()})
    assert found[0] == found[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_number(bad: float) -> None:
    def change(name: str, gradient: Tensor) -> Tensor:
        if name == "layers.1.norm.weight":
            gradient = gradient.clone()
            gradient[0] = bad
        return gradient

    rows = measured(Altered(change))
    for place, row in rows.items():
        assert row.value is None or math.isfinite(row.value), place
        assert row.value is not None or row.reason, place
    for metric in ("cosine", "cosine_corrected", "norm_second", "ceiling_second"):
        row = rows[f"task_vs_objective_{metric}", "deu", None]
        assert (row.value, "not finite" in row.reason) == (None, True)
    assert rows["task_vs_objective_cosine", "deu", 1].value is not None


def test_a_language_without_labels_says_so_and_the_others_go_on() -> None:
    rows = measured(FakeGradients(lacking=("kaz",)), "eng", "kaz", "deu")
    for comparison in ("task_vs_objective", "task_vs_source_task"):
        row = rows[f"{comparison}_cosine", "kaz", None]
        assert (row.value, row.reason) == (None, "no labelled text of kaz")
        assert rows[f"{comparison}_cosine", "deu", None].value is not None
    assert rows["masked_lm_vs_source_task_cosine", "kaz", None].value is not None


def test_an_encoder_without_objective_or_head_says_so() -> None:
    rows = measured(FakeGradients(objective=None))
    row = rows["task_vs_objective_cosine", "deu", None]
    assert (row.value, row.reason) == (None, "the encoder was aligned by no objective")
    assert rows["task_vs_source_task_cosine", "deu", None].value is not None
    rows = measured(FakeGradients(task=None))
    row = rows["masked_lm_vs_source_task_cosine", "deu", None]
    assert (row.value, row.reason) == (None, "no task's head was fitted on this encoder")
    assert rows["masked_lm_vs_source_masked_lm_cosine", "deu", None].value is not None


def test_the_two_gradients_share_no_part_and_nothing_is_taken_twice() -> None:
    gradients = FakeGradients()
    measured(gradients)
    assert len(set(gradients.asked)) == len(gradients.asked)
    assert {place[-2] for place in gradients.asked if place[:2] == ("task", "deu")} == {0, 1}
    assert {place[-2] for place in gradients.asked if place[0] == "objective"} == {2, 3}
    assert {place[-2] for place in gradients.asked if place[:2] == ("task", "eng")} == {0, 1, 2, 3}


def test_only_what_is_compared_is_taken() -> None:
    gradients = FakeGradients()
    rows = measured(gradients, comparisons=("task_vs_objective",), layers=False, modules=False)
    assert {place[0] for place in gradients.asked} == {"task", "objective"}
    assert {row.layer for row in rows.values()} == {None}
    assert not [metric for metric, _, _ in rows if metric.endswith("_attention")]
    assert "task_vs_objective_conflict_rate" in {metric for metric, _, _ in rows}


class Counted(FakeGradients):
    """Remembers how many gradients were alive at once, those of this probe and the one at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[weakref.ref[Tensor]] = []
        self.most = 0

    def _gradient(self, *place: object) -> dict[str, Tensor]:
        found = super()._gradient(*place)
        self.alive.append(weakref.ref(found["embeddings.weight"]))
        gc.collect()
        shape = found["embeddings.weight"].shape
        held = [o for o in gc.get_objects() if type(o) is Tensor and o.shape == shape]
        self.most = max(self.most, len(held))
        return found


@pytest.mark.usefixtures("only_new_garbage")
def test_never_more_than_four_copies_whatever_the_number_of_languages() -> None:
    """Counted when a gradient was just made: it, the sum of parts, and two to compare with."""
    for languages in (("eng", "deu"), ("eng", "deu", "kaz", "kor", "jpn")):
        gradients = Counted()
        measured(gradients, *languages, parts=8)
        assert gradients.most == 4


@pytest.mark.parametrize("bad", [{"parts": 3}, {"parts": 2}, {"parts": 5}, {"comparisons": ("x",)}])
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GradientAgreement.Config(**bad)
