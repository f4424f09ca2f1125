"""Table B2: sums by hand, devices apart, and what has no time is said to have none."""

from typing import Any

import pytest

from xbench.report.results.provenance import StageRecord
from xbench.report.table import Table, TableCell
from xbench.report.tables.compute import compute_table, duration
from xbench.report.write import render

CPU = {"device": "cpu", "threads": 2}
GPU = {"device": "cuda:0", "gpu": "NVIDIA V100", "threads": 8}


def stage(kind: str, key: str, seconds: float | None = 1.0, **more: Any) -> StageRecord:
    """A stage on two threads of a CPU, unless told otherwise."""
    values: dict[str, Any] = {"state": "done", "environment": CPU, "seconds": seconds} | more
    return StageRecord(kind, key, values.pop("state"), values.pop("spec", {}), **values)


def table(*stages: StageRecord) -> Table:
    (found,) = compute_table(stages)
    return found


def cell(found: Table, row: str, column: str, device: str = "cpu, 2 threads") -> TableCell:
    (i,) = [i for i, r in enumerate(found.rows) if (r.label, r.group) == (row, (device,))]
    (j,) = [j for j, c in enumerate(found.columns) if c.label == column]
    return found.cells[i][j]


HICTL = {"objective": {"name": "hictl"}}
POS_FULL = {"task": {"name": "pos"}, "mode": "full"}


def test_time_hours_and_memory_of_a_kind_of_stage() -> None:
    found = table(
        stage("align", "a", 1800.0, spec=HICTL, memory=2**30),
        stage("align", "b", 3600.0, spec=HICTL, memory=3 * 2**30),
        stage("align", "c", 5400.0, spec=HICTL, memory=2 * 2**30),
    )
    assert [row.label for row in found.rows] == ["align: hictl", "all stages"]
    assert cell(found, "align: hictl", "stages").value == 3
    one = cell(found, "align: hictl", "time of one")
    assert (one.value, one.text, one.details) == (3600.0, "60.0 min", ("30.0 min to 90.0 min",))
    assert cell(found, "align: hictl", "time of all").value == 10800.0
    assert cell(found, "align: hictl", "processor hours").value == pytest.approx(6.0)
    assert cell(found, "align: hictl", "peak memory, GiB").value == pytest.approx(3.0)
    assert cell(found, "align: hictl", "time of all").keys == ("a", "b", "c")
    assert "GPU hours" not in [column.label for column in found.columns]


def test_a_gpu_counts_as_one_device_and_stands_in_lines_of_its_own() -> None:
    found = table(
        stage("align", "a", 7200.0, spec=HICTL, environment=GPU),
        stage("align", "b", 3600.0, spec=HICTL),
    )
    on_gpu = cell(found, "align: hictl", "GPU hours", "NVIDIA V100")
    assert on_gpu.value == pytest.approx(2.0)
    assert cell(found, "align: hictl", "GPU hours").status == "absent"
    assert cell(found, "align: hictl", "processor hours").value == pytest.approx(2.0)
    assert cell(found, "all stages", "GPU hours", "NVIDIA V100").value == pytest.approx(2.0)
    assert cell(found, "all stages", "processor hours", "NVIDIA V100").status == "absent"


def test_evaluations_are_named_after_what_they_evaluate() -> None:
    found = table(
        stage("finetune", "f", 10.0, spec=POS_FULL),
        stage("evaluate", "e", 2.0, spec={"finetune": "f", "language": "deu"}),
        stage("probe", "p", 3.0, spec={"probe": {"name": "retrieval"}, "task": {"name": "pos"}}),
        stage("score", "s", 0.01, spec={"evaluate": "e"}),
        stage("links", "l", 0.5, spec={"aligner": {"name": "argmax"}}),
    )
    assert [row.label for row in found.rows] == [
        "word links: argmax",
        "fine-tune: pos, full",
        "probe: retrieval, pos",
        "evaluate: pos, full",
        "score",
        "all stages",
    ]
    assert cell(found, "all stages", "time of all").value == pytest.approx(15.51)
    assert cell(found, "all stages", "time of one").status == "absent"


def test_what_was_not_measured_is_counted_and_not_summed() -> None:
    found = table(
        stage("align", "a", 4.0, spec=HICTL),
        stage("align", "b", None, spec=HICTL, state="failed"),
        stage("finetune", "f", None, state="absent"),
    )
    assert cell(found, "all stages", "stages").value == 1
    assert any("1 absent, 1 failed" in note for note in found.notes)
    assert any("align, fine-tune" in note for note in found.notes)
    assert cell(found, "align: hictl", "peak memory, GiB").status == "absent"


def test_no_table_where_nothing_was_measured() -> None:
    assert compute_table([]) == []
    assert compute_table([stage("align", "a", None, state="failed")]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0491, "0.05 s"), (9.99, "9.99 s"), (61.4, "61 s"), (300, "5.0 min"), (9000, "2.5 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("format", ["markdown", "latex", "html", "csv", "terminal"])
def test_every_renderer_takes_it(format: str) -> None:
    text = render([table(stage("align", "a", 4.0, spec=HICTL))], format)
    assert "hictl" in text
