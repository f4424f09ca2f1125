"""docs/probes.md: its commands and its probe work, and its tables name what there is."""

import io
import json
import re

import pandas as pd
import pytest

from xbench.api import ProbeView
from xbench.catalogue.catalogue import Catalogue
from xbench.cli.commands.probe import _default_probes
from xbench.spec.resolve import PROBED
from xbench.store.rows import COLUMNS
from xbench.testing.toys.probe_view import ToyProbeView

from .guide import Workshop
from .pages import blocks_of, read, sections

PAGE = "docs/probes.md"
PROBES = [
    plugin.name for plugin in Catalogue.installed().discovery.table if plugin.kind == "probes"
]


def code_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def first_cells(text: str) -> list[str]:
    """What stands in code in the first column of a text's tables."""
    rows = re.findall(r"^\| (`[^|]*)\|", text, re.MULTILINE)
    return [name for row in rows for name in code_in(row)]


def fits(pattern: str, metric: str) -> bool:
    """Whether a metric's name is that of the page, where capitals stand for anything."""
    parts = re.split(r"[A-Z]+", pattern)
    return re.fullmatch(r"[\w.]+?".join(map(re.escape, parts)), metric) is not None


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("probes"), PAGE).follow()


def test_the_guide_to_probes_can_be_followed(workshop: Workshop) -> None:
    runs = [outcome.out for line, outcome in workshop.said.items() if line.startswith("xbench run")]
    assert len(runs) == 2
    assert all("Table 1" in out for out in runs)
    checked = workshop.said["xbench check lengths"].out
    assert "FAILED" not in checked
    own = [said.out for line, said in workshop.said.items() if "--probe lengths" in line]
    assert "length_ratio" in own[0]


def test_a_measured_encoder_as_csv(workshop: Workshop) -> None:
    (said,) = (o for line, o in workshop.said.items() if line.endswith("--format csv"))
    frame = pd.read_csv(io.StringIO(said.out))
    assert set(frame["probe"]) == {"retrieval"}
    undefined = frame[frame["value"].isna()]
    # its cosines may be negative, and a margin divides by them
    assert undefined["metric"].str.match("margin_|xsim_").all()
    assert undefined["reason"].notna().all()
    assert len(undefined) < len(frame) / 4
    assert set(frame["n"]) == {64}
    assert set(frame.columns) < {*COLUMNS, "reason"}


def test_the_rows_of_a_run_with_probes_are_as_described(workshop: Workshop) -> None:
    rows = pd.DataFrame(json.loads(workshop.said["xbench results --format json"].out))
    probed = rows[rows["probe"].notna()]
    assert set(probed["probe"]) == {"geometry"}
    assert probed["value"].isna().eq(probed["status"] == "unavailable").all()
    assert probed.loc[probed["value"].isna(), "reason"].notna().all()
    of_encoders = probed[probed["task"].isna()]
    assert set(of_encoders["arm"]) == {"none", "aligned", "shuffled"}
    assert of_encoders["mode"].isna().all()
    assert set(probed.loc[probed["task"].notna(), "mode"]) == {"full"}


def test_the_gradients_of_a_run_are_there(workshop: Workshop) -> None:
    measured = pd.concat(
        pd.read_parquet(path) for path in workshop.folder.glob("xbench-store/probe/*/rows.parquet")
    )
    cosines = measured[measured["metric"] == "task_vs_objective_cosine"]
    assert cosines["value"].between(-1, 1).any()
    of_sentences = measured[measured["metric"] == "mean_cosine"]
    assert set(of_sentences["items"].map(len)) - {0} == {64, 128}


def test_the_table_of_columns_is_that_of_the_results() -> None:
    text = read(PAGE).partition("## The rows")[2].partition("## What")[0]
    others = {"split"}  # null in rows of probes
    assert set(first_cells(text)) | others == {*COLUMNS, "reason"}


def test_every_probe_has_a_section() -> None:
    headings = [name for heading in sections(PAGE) for name in code_in(heading)]
    assert sorted(headings) == sorted(PROBES)


@pytest.mark.parametrize("name", PROBES)
def test_a_section_names_the_metrics_that_there_are(name: str) -> None:
    (text,) = (text for heading, text in sections(PAGE).items() if f"`{name}`" in heading)
    loaded = Catalogue.installed().load("probes", name)
    probe = loaded(loaded.Config())
    rows = list(probe.measure(ToyProbeView(probe.needs, probe.depths())))
    metrics = {row.metric for row in rows}
    patterns = first_cells(text)
    kinds = ("_attention", "_feed_forward", "_norm", "_embeddings", "_without_embeddings")
    if name == "gradients":
        assert all(f"`{kind}`" in text for kind in kinds)
        metrics = {metric for metric in metrics if not metric.endswith(kinds)}
    assert not [m for m in metrics if not any(fits(p, m) for p in patterns)]
    assert not [p for p in patterns if not any(fits(p, m) for m in metrics)]


def test_the_view_of_the_page_is_the_view() -> None:
    rows = read(PAGE).partition("| you write | you get |")[2].partition("\n\n")[0]
    shown = set(re.findall(r"view\.(\w+)", rows))
    assert shown == {name for name in vars(ProbeView) if not name.startswith("_")}


def test_the_default_probes_take_no_gradients() -> None:
    assert "Without `--probe` all are taken but those that need gradients" in flat()
    assert set(PROBES) - set(_default_probes()) == {"gradients"}


def test_the_places_to_probe_are_those_of_the_page() -> None:
    assert all(f"`{place}`" in flat() or f"--probe-at {place}`" in flat() for place in PROBED)


def flat() -> str:
    return " ".join(read(PAGE).split())


def test_all_code_of_the_page_is_run() -> None:
    kinds = {(block.language, block.needs) for block in blocks_of(PAGE)}
    assert kinds == {("sh", "guide"), ("python", "file"), ("python", "test")}
