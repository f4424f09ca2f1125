"""The probe of geometry."""

import pytest
import torch

from xbench_plugins.measures.isotropy import isoscore
from xbench_plugins.probes.geometry import BETWEEN, SHAPE, Geometry

from .fake_view import FakeView, clones
from .rows import by_name, table


def test_each_language_all_together_and_each_pair() -> None:
    rows = by_name(Geometry().measure(FakeView(clones())))
    languages = {language for metric, language, _ in rows if metric in SHAPE}
    assert languages == {"qaa", "qab", "qac", "qad", None}
    pairs = {language for metric, language, _ in rows if metric in BETWEEN}
    assert pairs == {"qab-qaa", "qac-qaa", "qad-qaa"}
    assert {metric for metric, _, _ in rows} == {*SHAPE, *BETWEEN}
    assert rows["isoscore", None, 8].n == 240
    assert rows["isoscore", "qab", 8].n == 60


def test_the_shape_of_all_languages_is_that_of_their_sentences_together() -> None:
    text = clones()
    found = by_name(Geometry().measure(FakeView(text)))["isoscore", None, 12]
    expected = isoscore(torch.cat(list(text.values())))
    assert found.value == expected.value
    assert not found.reason  # 240 sentences of 8 dimensions


def test_clones_have_one_shape_and_no_gap() -> None:
    found = table(Geometry().measure(FakeView(clones())), layer=8)
    for name in ("cka", "cka_debiased", "rsim", "anc"):
        assert found[name, "qab-qaa"] == pytest.approx(1)
        assert found[name, "qac-qaa"] < 0.99
    for name in ("centroid_distance", "centroid_gap", "eigenvector_similarity"):
        assert found[name, "qab-qaa"] == pytest.approx(0, abs=1e-9)
        assert found[name, "qac-qaa"] > 0.01
    assert abs(found["cka_debiased", "qad-qaa"]) < 0.1  # shuffled
    assert abs(found["rsim", "qad-qaa"]) < 0.1
    assert found["centroid_gap", "qad-qaa"] == pytest.approx(0, abs=1e-9)


def test_too_few_sentences_for_their_dimensions_are_flagged() -> None:
    rows = by_name(Geometry().measure(FakeView(clones(60, 30))))
    assert "isotropic ones would score about" in rows["isoscore", "qaa", 8].reason
    assert "biased upwards" in rows["cka", "qab-qaa", 8].reason
    assert not rows["cka_debiased", "qab-qaa", 8].reason


def test_neighbours_are_a_setting() -> None:
    found = {
        k: table(Geometry(Geometry.Config(neighbours=k)).measure(FakeView(clones())), 8)
        for k in (2, 10)
    }
    name = "hub_largest_forward", "qac-qaa"
    assert found[2][name] < found[10][name]
    rows = by_name(Geometry(Geometry.Config(neighbours=60)).measure(FakeView(clones())))
    assert rows["hub_skewness_forward", "qac-qaa", 8].value is None
    assert "60 nearest" in rows["hub_skewness_forward", "qac-qaa", 8].reason
