"""The probe of language identification."""

import pytest
import torch

from xbench_plugins.probes.language_identification import LanguageIdentification

from .fake_view import FakeView, clones, vectors
from .rows import by_name

NAME = "language_accuracy"


def apart(shift: float, count: int = 60) -> FakeView:
    said = vectors(count, 1)
    text = {
        code: said + 0.2 * vectors(count, 2 + n) + shift * n
        for n, code in enumerate(("qaa", "qab", "qac"))
    }
    return FakeView(text)


def test_languages_that_lie_apart_are_told_apart() -> None:
    rows = by_name(LanguageIdentification().measure(apart(6.0)))
    assert rows[NAME, None, 8].value > 0.98  # type: ignore[operator]
    assert rows["language_chance", None, 8].value == pytest.approx(1 / 3)
    assert rows[NAME, None, 8].n == 180


def test_clones_are_not() -> None:
    same = {code: vectors(100, 1) for code in ("qaa", "qab", "qac")}
    found = by_name(LanguageIdentification().measure(FakeView(same)))[NAME, None, 8].value
    assert found == pytest.approx(1 / 3, abs=0.02)


def test_each_language_has_a_row_with_items_that_make_up_the_whole() -> None:
    rows = by_name(LanguageIdentification().measure(apart(0.5)))
    items = [rows[NAME, code, 12].items for code in ("qaa", "qab", "qac")]
    assert all(each is not None and len(each) == 60 for each in items)
    whole = torch.cat([each for each in items if each is not None]).double().mean()
    assert rows[NAME, None, 12].value == pytest.approx(float(whole))
    assert len({rows[NAME, code, 12].value for code in ("qaa", "qab", "qac")}) > 1


def test_a_sample_is_the_same_sentences_in_all_languages() -> None:
    probe = LanguageIdentification(LanguageIdentification.Config(sentences=20))
    rows = by_name(probe.measure(apart(0.5)))
    assert rows[NAME, None, 8].n == 60
    assert rows[NAME, "qab", 8].n == 20


def test_a_language_with_fewer_sentences_raises_chance() -> None:
    view = apart(3.0)
    view.sentences = {**view.sentences, "qac": view.sentences["qac"][:20]}
    rows = by_name(LanguageIdentification().measure(view))
    assert rows["language_chance", None, 8].value == pytest.approx(60 / 140)


def test_one_language_cannot_be_identified() -> None:
    (row,) = LanguageIdentification(LanguageIdentification.Config(depths=(1.0,))).measure(
        FakeView({"qaa": clones()["qaa"]})
    )
    assert row.value is None
    assert "two languages" in row.reason
