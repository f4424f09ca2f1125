"""All figures of a report: written, named, captioned for every format, and drawn from a real run."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from xbench.errors import XbenchError
from xbench.report.figures.gallery import Gallery, Picture, build_gallery
from xbench.report.figures.material import Lacking, Material
from xbench.report.figures.stored import read_curves, read_items
from xbench.report.run.extras import gallery_of, material_of
from xbench.report.run.stored import StoredRun
from xbench.store import Store
from xbench.store.runs import record_run

from ...command import compute, request
from ..probed import smooth, study
from .material import PICTURED, curves, material

HOSTILE = "<script>alert(1)</script> & 50% $x^2$ #_{1} \\ ~ עברית 日本語"


@pytest.fixture(scope="module")
def whole() -> Gallery:
    return build_gallery(material(curves=curves()), ("svg",))


def test_every_figure_that_the_run_has_data_for(whole: Gallery) -> None:
    assert [picture.name for picture in whole.pictures] == [
        *("changes-pos-full", "changes-pos-linear", "transfer-finder", "transfer-slopes"),
        *("near", "slopes-pos", "losses-align", "losses-finetune"),
    ]
    assert [each.title for each in whole.lacking] == ["Charts"]
    assert whole.left_out == ["Charts: left out, since the probe chart has no places of languages."]
    assert all("Suite paper, model base." in picture.caption for picture in whole.pictures[:6])


def test_a_page_gets_title_picture_and_caption(whole: Gallery) -> None:
    title, svg, caption = whole.page[0]
    assert title == "Change in score by language: pos, full"
    assert svg.startswith("<?xml")
    assert "t interval over 3 fine-tuning seeds" in caption


def test_files_are_written_whole_under_their_names(tmp_path: Path) -> None:
    gallery = build_gallery(Material(curves=curves()), ("svg", "pdf"))
    paths = gallery.write(tmp_path / "figures", ("pdf", "svg"))
    assert [path.name for path in paths] == [
        f"losses-{what}.{suffix}" for what in ("align", "finetune") for suffix in ("svg", "pdf")
    ]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(
        path.name for path in paths
    )
    assert paths[1].read_bytes().startswith(b"%PDF")
    again = build_gallery(Material(curves=curves()), ("svg", "pdf"))
    assert [p.files for p in again.pictures] == [p.files for p in gallery.pictures]


def test_captions_in_markdown_and_latex() -> None:
    gallery = Gallery(
        (Picture("one", "A_title", "50% of a_b & c.", {}),), (Lacking("Two*", "there is nothing"),)
    )
    markdown = gallery.markdown()
    assert "![A\\_title](figures/one.svg)" in markdown
    assert "- Two\\*: left out, since there is nothing." in markdown
    latex = gallery.latex("plots")
    assert r"keepaspectratio]{plots/one.pdf}" in latex
    assert r"\caption[A\_title]{50\% of a\_b \& c.}" in latex
    assert r"\label{fig:one}" in latex


def test_names_of_all_kinds_survive_in_every_format() -> None:
    rows = [
        row | ({"variant": HOSTILE} if row["variant"] == "S1W0M0" else {})
        for row in study(smooth, smooth)
    ]
    gallery = build_gallery(material(rows), ("svg", "pdf"))
    svg = gallery.pictures[0].files["svg"].decode("utf-8")
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert all(picture.name.replace("-", "").isalnum() for picture in gallery.pictures)


def test_figures_of_one_name_have_files_of_their_own() -> None:
    figures = {"a b": PICTURED.figures["near"], "a-b": PICTURED.figures["near"]}
    background = replace(PICTURED, figures=figures)
    gallery = build_gallery(material(study(smooth, smooth), background=background), ("svg",))
    names = [picture.name for picture in gallery.pictures]
    assert names[-2:] == ["a-b", "a-b-2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """A small run with probes, computed in this process."""
    store = Store(tmp_path_factory.mktemp("store"))
    asked = request(
        probe=["distances", "maps"],
        mode=["full"],
        options={
            "probe.maps.sentences": 6,
            "probe.maps.methods": ["pca"],
            "probing.sentences": 20,
            "probing.entries": 20,
        },
    )
    session = compute(asked, store)
    return StoredRun(record_run(session.plan, store))


def test_figures_of_a_run_from_its_store(run: StoredRun) -> None:
    gallery = gallery_of(run, ("svg",))
    names = [picture.name for picture in gallery.pictures]
    assert "changes-pos-full" in names
    assert "figure1" in names
    assert any(name.startswith("maps-pca") for name in names)
    assert names[-2:] == ["losses-align", "losses-finetune"]
    assert any("gradients" in line for line in gallery.left_out)


def test_losses_and_items_are_read_from_the_store(run: StoredRun) -> None:
    store, plan = run.store, run.record
    found = read_curves(store, plan)
    assert {curve.condition for curve in found} == {(None, None), ("pos", "full")}
    (alignment,) = [curve for curve in found if curve.condition == (None, None)]
    key = next(cell.align for cell in plan.cells if cell.align)
    stored = store.result("align", key)["curve"]
    assert alignment.steps == tuple(at["step"] for at in stored)
    assert alignment.losses["loss"] == tuple(at["loss"] for at in stored)
    assert alignment.encoder.variant == "S1W0M0"
    items = read_items(store, plan, [("maps", "pca_1")])
    rows = run.rows[(run.rows["metric"] == "pca_1") & run.rows["value"].notna()]
    assert len(items) == len(rows) > 0
    means = sorted(sum(values) / len(values) for values in items.values())
    assert means == pytest.approx(sorted(rows["value"]), abs=1e-4)


def test_what_is_damaged_or_absent_is_left_out(run: StoredRun, tmp_path: Path) -> None:
    store, plan = run.store, run.record
    empty = Store(tmp_path / "empty")
    assert read_curves(empty, plan) == []
    assert read_items(empty, plan, [("maps", "pca_1")]) == {}
    damaged = Store(tmp_path / "damaged")
    shutil.copytree(store.root, damaged.root)
    for path in (
        *damaged.root.glob("align/*/result.json"),
        *damaged.root.glob("probe/*/rows.parquet"),
    ):
        path.write_bytes(b"{")
    assert {curve.condition for curve in read_curves(damaged, plan)} == {("pos", "full")}
    assert read_items(damaged, plan, [("maps", "pca_1")]) == {}


def test_results_that_cannot_be_drawn_are_an_error_of_the_run(run: StoredRun) -> None:
    mixed = StoredRun(run.folder)
    mixed.rows = run.rows.assign(model=[f"model {number}" for number in range(len(run.rows))])
    with pytest.raises(XbenchError, match=r"cannot be drawn: .* several values of model"):
        material_of(mixed)
