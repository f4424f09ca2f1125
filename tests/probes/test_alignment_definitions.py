"""The probe of definitions of alignment."""

import pytest

from xbench_plugins.measures.definitions import definitions
from xbench_plugins.measures.separation import Separation
from xbench_plugins.probes.alignment_definitions import AlignmentDefinitions

from .fake_view import FakeView, clones
from .rows import by_name, table

SHARES = [
    f"{name}_{direction}"
    for name in ("weak_eq1", "strong_eq2", "strong_joint")
    for direction in ("forward", "backward")
]


def test_an_identity_clone_is_aligned_and_a_shuffled_one_is_not() -> None:
    found = table(AlignmentDefinitions().measure(FakeView(clones(200))), layer=8)
    for name in (*SHARES, "mexa"):
        assert found[name, "qab-qaa"] == 1.0
        assert found[name, "qad-qaa"] < 0.05
        assert 0.05 < found[name, "qac-qaa"] < 1
    assert found["epsilon_at_gamma_0", "qab-qaa"] == 0
    assert found["epsilon_at_gamma_0", "qad-qaa"] == pytest.approx(0.5, abs=0.1)
    assert found["cosine_z", "qad-qaa"] == pytest.approx(0, abs=0.3)
    assert found["cosine_difference", "qad-qaa"] == pytest.approx(0, abs=0.1)
    assert found["cosine_z", "qab-qaa"] > 2


def test_the_values_are_those_of_the_measures() -> None:
    text = clones()
    config = AlignmentDefinitions.Config(gammas=(0.0, 0.15), epsilons=(0.05, 0.2))
    found = table(AlignmentDefinitions(config).measure(FakeView(text)), layer=12)
    apart = Separation(text["qac"], text["qaa"])
    assert found["epsilon_at_gamma_0.15", "qac-qaa"] == apart.epsilon(0.15)
    assert found["gamma_at_epsilon_0.05", "qac-qaa"] == apart.gamma(0.05).value
    assert found["gamma_at_epsilon_0.2", "qac-qaa"] == apart.gamma(0.2).value
    for name, one in definitions(text["qac"], text["qaa"]).items():
        assert found[name, "qac-qaa"] == one.value


def test_the_curve_rises_with_the_margin() -> None:
    found = table(AlignmentDefinitions().measure(FakeView(clones())), layer=8)
    gammas = AlignmentDefinitions.Config().gammas
    curve = [found[f"epsilon_at_gamma_{gamma:g}", "qac-qaa"] for gamma in gammas]
    assert curve == sorted(curve)
    assert curve[0] < curve[-1]


def test_making_all_vectors_alike_raises_cosines_and_not_alignment() -> None:
    text = clones()
    alike = {code: x + 4 for code, x in text.items()}
    before, after = (
        by_name(AlignmentDefinitions().measure(FakeView(each))) for each in (text, alike)
    )
    place = "qac-qaa", 8
    assert after[("mean_cosine", *place)].value > before[("mean_cosine", *place)].value + 0.1  # type: ignore[operator]
    assert after[("cosine_difference", *place)].value < before[("cosine_difference", *place)].value  # type: ignore[operator]


def test_a_small_budget_samples_the_curve_only_and_says_so() -> None:
    view = FakeView(clones(200))
    small = AlignmentDefinitions(AlignmentDefinitions.Config(budget=40 * 200 * 8))
    one, other = by_name(small.measure(view)), by_name(AlignmentDefinitions().measure(view))
    for place, row in one.items():
        sampled = place[0].startswith(("epsilon", "gamma"))
        assert bool(row.reason) == sampled
        if not sampled:
            assert row.value == pytest.approx(other[place].value)
