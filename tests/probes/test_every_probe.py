"""What holds for every probe of representations: bad input, order, settings, entry points."""

import math
from collections.abc import Callable, Iterable

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from xbench.api.probe import Probe, Row
from xbench.catalogue.discovery import discovery
from xbench_plugins.probes.alignment_definitions import AlignmentDefinitions
from xbench_plugins.probes.distances import Distances
from xbench_plugins.probes.geometry import Geometry
from xbench_plugins.probes.language_identification import LanguageIdentification
from xbench_plugins.probes.maps import Maps
from xbench_plugins.probes.retrieval import Retrieval

from .fake_view import FakeView, clones, reordered, vectors
from .rows import by_name

PROBES: dict[str, type[Probe]] = {
    "alignment_definitions": AlignmentDefinitions,
    "distances": Distances,
    "geometry": Geometry,
    "language_identification": LanguageIdentification,
    "maps": Maps,
    "retrieval": Retrieval,
}
every_probe = pytest.mark.parametrize("name", PROBES)


def with_nan(said: Tensor) -> Tensor:
    said = said.clone()
    said[3, 1] = math.nan
    return said


def sentence_rows(rows: Iterable[Row]) -> list[Row]:
    """Rows that are not of words, of which the fake view has none."""
    return [row for row in rows if not row.metric.startswith("word_")]


COLLAPSED: dict[str, Callable[[Tensor], Tensor]] = {
    "not finite": with_nan,
    "are zero": torch.zeros_like,
    "same direction": torch.ones_like,
    "needs 2": lambda said: said[:1],
}


@every_probe
@pytest.mark.parametrize("problem", COLLAPSED)
def test_an_encoder_that_has_collapsed_gets_no_number(name: str, problem: str) -> None:
    text = {code: COLLAPSED[problem](x) for code, x in clones(30).items()}
    rows = sentence_rows(PROBES[name]().measure(FakeView(text)))
    assert rows
    for row in rows:
        together = row.language is None and problem == "needs 2"  # one sentence of each of four
        if not together:
            assert row.value is None, row
            assert problem in row.reason or problem == "needs 2", row
        assert row.value is not None or row.reason


@every_probe
def test_one_damaged_language_spoils_no_other(name: str) -> None:
    text = clones(30)
    text["qad"] = torch.zeros_like(text["qad"])
    rows = sentence_rows(PROBES[name]().measure(FakeView(text)))
    sound = [row for row in rows if "qad" not in (row.language or "")]
    assert all(row.value is not None for row in sound)
    for row in rows:
        if "qad" in (row.language or ""):
            assert row.value is None
            assert "zero" in row.reason


@every_probe
def test_every_number_is_finite_and_every_gap_has_a_reason(name: str) -> None:
    for row in PROBES[name]().measure(FakeView(clones(30))):
        assert (row.value is None) == bool(row.reason and row.value is None)
        assert row.value is None or math.isfinite(row.value)
        assert row.value is None or isinstance(row.value, float)
        assert row.items is None or bool(torch.isfinite(row.items).all())


@every_probe
def test_the_order_of_the_sentences_changes_nothing(name: str) -> None:
    view = FakeView(clones(), {"G": (("qac", "qab"),)})
    one = by_name(PROBES[name]().measure(view))
    other = by_name(PROBES[name]().measure(reordered(view, 5)))
    assert list(one) == list(other)
    for place, row in one.items():
        assert other[place].value == pytest.approx(row.value, abs=1e-9), place
        assert other[place].reason == row.reason


@every_probe
def test_it_gives_the_same_twice(name: str) -> None:
    view = FakeView(clones())
    one, other = (by_name(PROBES[name]().measure(view)) for _ in range(2))
    assert {p: row.value for p, row in one.items()} == {p: row.value for p, row in other.items()}


@every_probe
def test_languages_without_parallel_text_are_reported(name: str) -> None:
    view = FakeView(clones(30), missing={"heb": "FLORES has no heb_Xxxx"})
    (row,) = [r for r in PROBES[name]().measure(view) if (r.language or "").startswith("heb")]
    assert row.value is None
    assert row.reason == "FLORES has no heb_Xxxx"


@every_probe
def test_it_is_found_by_its_name_and_every_setting_says_whose_it_is(name: str) -> None:
    plugin = discovery.table.get("probes", name)
    assert plugin.load() is PROBES[name]
    adapter = TypeAdapter(PROBES[name].Config)
    plain = adapter.dump_python(PROBES[name].Config(), mode="json")
    assert set(PROBES[name].sources) == set(plain)
    assert adapter.validate_python(plain) == PROBES[name].Config()
    with pytest.raises(ValidationError):
        adapter.validate_python({"depths": [1.5]})
    with pytest.raises(ValidationError):
        adapter.validate_python({"depths": []})
    with pytest.raises(ValidationError):
        adapter.validate_python({"depth": [1.0]})


@every_probe
def test_a_few_zero_vectors_are_left_out_and_counted(name: str) -> None:
    text = clones(40)
    text["qaa"][0] = 0
    rows = list(PROBES[name]().measure(FakeView(text)))
    found = [r for r in rows if r.value is not None and r.language in ("qab-qaa", "qaa")]
    assert found
    assert all("left out: the vector is zero" in row.reason for row in found)


def test_vectors_of_a_pair_that_do_not_pair_up_are_an_error_in_words() -> None:
    class Crooked(FakeView):
        def pair(self, pair: tuple[str, str], depth: float) -> tuple[Tensor, Tensor]:
            return vectors(5, 1), vectors(6, 2)

    rows = list(Retrieval().measure(Crooked(clones())))
    assert {row.value for row in rows} == {None}
    assert all("row i of both sides is a pair" in row.reason for row in rows)
