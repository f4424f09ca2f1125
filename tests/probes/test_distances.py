"""The probe of distances of sentences and words."""

import pytest

from xbench_plugins.measures.distances import DISTANCES, distances
from xbench_plugins.probes.distances import Distances

from .fake_view import FakeView, clones, vectors
from .rows import by_name, table

PAIR = ("qac", "qaa")


def view() -> FakeView:
    words = vectors(25, 7), vectors(25, 8)
    dictionary = {(PAIR, "isolation"): words, (PAIR, "context"): (words[0], words[0].clone())}
    return FakeView(clones(), dictionary=dictionary)


def test_it_looks_where_the_study_does() -> None:
    assert Distances().depths() == pytest.approx((1 / 3, 2 / 3, 1))
    assert {row.layer for row in Distances().measure(view())} == {4, 8, 12}
    assert Distances.needs == {"dictionary"}


def test_each_unit_has_its_own_rows() -> None:
    seen = view()
    found = table(Distances().measure(seen), layer=4)
    sides = {
        "sentence": seen.pair(PAIR, 1.0),
        "word_isolation": seen.words(PAIR, 1.0, "isolation"),
        "word_context": seen.words(PAIR, 1.0, "context"),
    }
    for unit, both in sides.items():
        for name, one in distances(*both).items():
            assert found[f"{unit}_{name}", "qac-qaa"] == one.value


def test_an_identity_clone_is_at_distance_zero() -> None:
    found = table(Distances().measure(view()), layer=8)
    for name in ("sentence_cosine_distance", "sentence_euclidean_distance"):
        assert found[name, "qab-qaa"] == 0
        assert found[f"{name}_random", "qab-qaa"] > 0.5
        assert found[name, "qad-qaa"] == pytest.approx(found[f"{name}_random", "qad-qaa"], rel=0.15)


def test_a_pair_without_a_dictionary_says_so() -> None:
    rows = by_name(Distances().measure(view()))
    for name in DISTANCES:
        row = rows[f"word_context_{name}", "qab-qaa", 12]
        assert row.value is None
        assert row.reason == "no dictionary has qab-qaa"
        assert rows[f"sentence_{name}", "qab-qaa", 12].value is not None


def test_units_and_the_baselines_size_are_settings() -> None:
    probe = Distances(Distances.Config(units=("sentence",), random_pairs=20, depths=(1.0,)))
    rows = by_name(probe.measure(view()))
    assert {name.split("_")[0] for name, *_ in rows} == {"sentence"}
    row = rows["sentence_euclidean_distance_random", "qab-qaa", 12]
    assert row.n == 20
    assert row.reason == "among 20 of 60 pairs"
    assert rows["sentence_euclidean_distance", "qab-qaa", 12].n == 60
