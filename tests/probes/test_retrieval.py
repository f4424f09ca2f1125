"""The probe of retrieval on clones with known answers."""

import pytest
import torch

from xbench.api.search import Search
from xbench_plugins.measures.retrieval import Neighbourhoods, ranked
from xbench_plugins.probes.retrieval import Retrieval

from .fake_view import FakeView, clones, vectors
from .rows import by_name, table

GROUPS = {"G1": (("qac", "qab"),), "G2": (("qab", "qaa"), ("qac", "qab"))}


def test_it_measures_the_groups_and_every_language_with_the_source() -> None:
    rows = list(Retrieval().measure(FakeView(clones(), GROUPS)))
    assert {row.language for row in rows} == {"qac-qab", "qab-qaa", "qac-qaa", "qad-qaa"}
    assert {row.layer for row in rows} == {8, 12}
    by_name(rows)  # each once


def test_it_asks_for_the_depths_that_it_declares() -> None:
    probe, view = Retrieval(Retrieval.Config(depths=(0.25, 0.5))), FakeView(clones())
    rows = list(probe.measure(view))
    assert view.asked == {0.25, 0.5} == set(probe.depths())
    assert {row.layer for row in rows} == {3, 6}


@pytest.mark.parametrize("number_of_layers", [1, 4, 6, 12, 22, 28, 48])
def test_all_layers_are_each_measured_once(number_of_layers: int) -> None:
    config = Retrieval.Config(depths="all", scoring=("cosine",))
    view = FakeView({"qaa": vectors(5, 1), "qab": vectors(5, 2)}, number_of_layers=number_of_layers)
    rows = list(Retrieval(config).measure(view))
    means = [row.layer for row in rows if row.metric == "mean_cosine"]
    assert means == list(range(number_of_layers + 1))
    assert view.asked <= set(Retrieval(config).depths())


@pytest.mark.parametrize("prefix", ["", "csls_", "margin_"])
def test_an_identity_clone_is_found_and_a_shuffled_one_is_not(prefix: str) -> None:
    found = table(Retrieval().measure(FakeView(clones(200))), layer=8)
    for direction in ("forward", "backward"):
        for name in ("top1", "mrr"):
            assert found[f"{prefix}{name}_{direction}", "qab-qaa"] == 1.0
        assert found[f"{prefix}top1_{direction}", "qad-qaa"] < 0.05
        assert found[f"{prefix}top10_{direction}", "qad-qaa"] < 0.15
        assert found[f"xsim_error_{direction}", "qab-qaa"] == 0.0
        assert found[f"xsim_error_{direction}", "qad-qaa"] > 0.9
    assert found["mean_cosine", "qab-qaa"] == 1.0
    assert found["mean_cosine", "qad-qaa"] < 0.5


@pytest.mark.parametrize("scoring", ["csls", "margin"])
def test_metrics_carry_the_name_of_their_scoring(scoring: str) -> None:
    text = clones()
    found = table(Retrieval().measure(FakeView(text)), layer=8)
    both = text["qac"], text["qaa"]
    expected = ranked(*both, Search(scoring), Neighbourhoods.of(*both))  # type: ignore[arg-type]
    for name, one in expected.items():
        assert found[f"{scoring}_{name}", "qac-qaa"] == one.value


def test_items_are_per_sentence_and_their_mean_is_the_value() -> None:
    for row in Retrieval().measure(FakeView(clones())):
        assert row.n == 60
        assert row.items is not None
        assert row.items.shape == (60,)
        assert float(row.items.double().mean()) == pytest.approx(row.value)


def test_blocks_change_nothing() -> None:
    view = FakeView(clones())
    small = Retrieval(Retrieval.Config(budget=2000))
    assert table(small.measure(view), 8) == pytest.approx(table(Retrieval().measure(view), 8))


def test_only_shared_sentences_are_paired() -> None:
    said = vectors(30, 1)
    names = {"qaa": [f"{n}" for n in range(30)], "qab": [f"{n}" for n in range(10, 30)]}
    view = FakeView({"qaa": said, "qab": said[10:]}, names=names)
    rows = by_name(Retrieval().measure(view))
    assert rows["top1_forward", "qab-qaa", 8].n == 20
    assert rows["top1_forward", "qab-qaa", 8].value == 1.0


def test_a_layer_is_what_the_view_has_there() -> None:
    noise = vectors(60, 9)
    view = FakeView(clones(), at=lambda x, layer: x + (12 - layer) * noise[: len(x)])
    found = by_name(Retrieval().measure(view))
    last, lower = (found["mean_cosine", "qac-qaa", layer].value for layer in (12, 8))
    assert last is not None
    assert lower is not None
    assert last < lower  # the common noise below the last layer makes all alike


def test_states_in_single_precision_give_the_same_within_rounding() -> None:
    double, single = clones(), {code: x.float() for code, x in clones().items()}
    one, other = (table(Retrieval().measure(FakeView(text)), 8) for text in (double, single))
    assert one == pytest.approx(other, abs=1e-5)
    assert all(x.dtype == torch.float32 for x in single.values())
