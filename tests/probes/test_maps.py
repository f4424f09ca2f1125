"""The probe of maps."""

import sys

import pytest
import torch

from xbench_plugins.measures.maps import principal_components
from xbench_plugins.probes.maps import Maps

from .fake_view import FakeView, clones, vectors
from .rows import by_name


def test_a_language_is_where_its_sentences_are_on_average() -> None:
    rows = by_name(Maps(Maps.Config(sentences=30)).measure(FakeView(clones())))
    assert {metric for metric, *_ in rows} == {
        *(f"{method}_{axis}" for method in ("pca", "tsne") for axis in (1, 2)),
        *(f"pca_{axis}_variance" for axis in (1, 2)),
    }
    for (metric, language, _), row in rows.items():
        assert row.value is not None
        if language is not None:
            assert row.items is not None
            assert row.items.shape == (30,)
            assert float(row.items.mean()) == pytest.approx(row.value)
        else:
            assert metric.endswith("variance")


def test_the_map_is_of_all_languages_together() -> None:
    text = clones(40)
    rows = by_name(Maps(Maps.Config(methods=("pca",))).measure(FakeView(text)))
    expected, shares = principal_components(torch.cat(list(text.values())))
    for number, code in enumerate(text):
        items = rows["pca_1", code, 8].items
        assert items is not None
        own = expected[40 * number : 40 * (number + 1), 0]
        torch.testing.assert_close(items.sort().values, own.sort().values)
    assert rows["pca_1_variance", None, 8].value == pytest.approx(float(shares[0]))


def test_items_are_in_the_same_order_in_all_languages() -> None:
    rows = by_name(Maps(Maps.Config(methods=("pca",))).measure(FakeView(clones())))
    one, clone = rows["pca_1", "qaa", 8].items, rows["pca_1", "qab", 8].items
    assert one is not None
    assert clone is not None
    torch.testing.assert_close(one, clone)


def test_languages_that_lie_apart_do_so_on_the_map() -> None:
    text = {code: vectors(40, 1) + 30 * n for n, code in enumerate(("qaa", "qab"))}
    rows = by_name(Maps().measure(FakeView(text)))
    for method in ("pca", "tsne"):
        places = [
            torch.stack([rows[f"{method}_{axis}", code, 8].items for axis in (1, 2)], dim=1)  # type: ignore[misc]
            for code in text
        ]
        within = torch.pdist(places[0]).mean()
        assert torch.cdist(*places).mean() > 2 * within


def test_without_its_extra_umap_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    probe = Maps(Maps.Config(methods=("umap",), depths=(1.0,)))
    (row,) = probe.measure(FakeView(clones()))
    assert row.value is None
    assert "pip install 'xbench[umap]'" in row.reason
