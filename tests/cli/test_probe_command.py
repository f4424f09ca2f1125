"""``xbench probe`` and reports of runs that only probe."""

import io
from pathlib import Path

import pandas as pd

from xbench.catalogue.models import find_model
from xbench.catalogue.registry import load_registry

from ..command import xbench

QUICK = ("--suite", "mini", "-O", "probing.sentences=20", "-O", "probing.entries=30")
FEW = ("-O", "probe.retrieval.scoring=[cosine]", "--device", "cpu")


def report_of(store: Path) -> str:
    done = xbench("report", "--store", store, "--format", "markdown")
    assert done.code == 0, done.err
    (path,) = [Path(line) for line in done.out.splitlines() if line.endswith("report.md")]
    return path.read_text(encoding="utf-8")


def test_a_model_is_measured_with_no_run_around_it(tmp_path: Path) -> None:
    place = ("--store", tmp_path / "store")
    probed = ("probe", "mini-encoder", "--probe", "retrieval", *QUICK, *FEW, *place)
    shown = xbench(*probed)
    assert shown.code == 0, shown.err
    for text in ("retrieval, layer 3", "mean_cosine", "retrieval: all measures", "G1: "):
        assert text in shown.out
    table = xbench(*probed, "--format", "csv")
    frame = pd.read_csv(io.StringIO(table.out))
    assert {"top1_forward", "xsim_error_forward"} <= set(frame["metric"])
    assert (frame["value"].notna() | frame["reason"].notna()).all()
    assert set(frame["n"]) == {20}

    folder = find_model("mini-encoder", load_registry()).folder
    other = xbench("probe", folder, *probed[2:], "--format", "csv")
    values = pd.read_csv(io.StringIO(other.out))["value"]
    pd.testing.assert_series_equal(values, frame["value"])
    rows = xbench("results", *place, "--format", "csv")
    # As in every other row: the folder's own name, wherever it lies.
    assert set(pd.read_csv(io.StringIO(rows.out))["model"]) == {folder.name}

    text = report_of(tmp_path / "store")
    assert "Table 2: mean cosine similarity of translations" in text
    assert "Retrieval by other scorings" in text


def test_a_run_of_a_probe_that_has_no_table_of_its_own_has_a_report(tmp_path: Path) -> None:
    place = ("--store", tmp_path / "store")
    options = ("--probe", "maps", "-O", "probe.maps.methods=[pca]", *QUICK, *place)
    shown = xbench("probe", "mini-encoder", *options, "--device", "cpu")
    assert shown.code == 0, shown.err
    assert "pca_1" in shown.out
    assert "## maps: all measures" in report_of(tmp_path / "store")
