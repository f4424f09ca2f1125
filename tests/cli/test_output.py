"""Output ends no command: neither an encoding that lacks characters, nor a reader that has gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xbench.report import write as build

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome, xbench
from ..conftest import Install

RUN = (*SMALL_OPTIONS, *QUICK_OPTIONS, "--arm", "none", "--mode", "linear", "--jobs", "1")
MAIN = "from xbench.cli import main; main()"


def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=300,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, in a store whose path no small encoding can write."""
    place = tmp_path_factory.mktemp("runs") / "хранилище-é-表"
    assert xbench("run", *RUN, "--store", place).code == 0
    return place


ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C"},
]
BARE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # no byte above 127


@pytest.mark.parametrize("environment", ENCODINGS, ids=str)
def test_a_run_is_shown_and_reported_in_every_encoding(
    environment: dict[str, str], store: Path
) -> None:
    (report,) = store.glob("runs/*/report")
    (report / "report.md").unlink()
    done = command("run", *RUN, "--store", store, **environment)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Table 1" in done.stdout
    assert b"Report: " in done.stdout
    assert (report / "report.md").is_file()


@pytest.mark.parametrize("environment", [ENCODINGS[0], BARE], ids=str)
def test_a_run_that_computes_in_small_encodings(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Workers, their pipes and logs too."""
    name = "store" if environment == BARE else "é-表"
    done = command("run", *RUN, "--store", tmp_path / name, **environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("report",), ("store",), ("plan", *SMALL_OPTIONS), ("results",)],
    ids=lambda a: a[0],
)
def test_so_are_other_commands(arguments: tuple[str, ...], store: Path) -> None:
    done = command(*arguments, "--store", store, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_mistake_keeps_its_exit_code(tmp_path: Path) -> None:
    done = command("run", "--task", "é-表", "--store", tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert b"Unknown task '" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_a_program_reads_is_utf_8_in_every_encoding(install: Install) -> None:
    source = 'class Mine:\n    """Ein Maß für 表."""\n'
    install("mine", {"metrics": {"mass": "mine:Mine"}}, {"mine.py": source})
    listed = [
        command("list", "metrics", "--format", "json", PYTHONIOENCODING=encoding)
        for encoding in ("utf-8", "ascii", "latin-1")
    ]
    assert {done.returncode for done in listed} == {0}
    assert len({done.stdout for done in listed}) == 1
    listed[0].stdout.decode("utf-8")


@pytest.mark.parametrize("arguments", [("list",), ("results",), ("status",), ("run", *RUN)])
def test_a_reader_that_goes_ends_nothing(arguments: tuple[str, ...], store: Path) -> None:
    """As ``| head -0`` would: nobody reads, and the exit code is the command's own."""
    place = () if arguments == ("list",) else ("--store", str(store))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments, *place],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=300,
        )
    finally:
        os.close(writing)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_the_table_is_shown_where_the_report_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> list[Path]:
        raise OSError(28, "No space left on device", "report.md")

    monkeypatch.setattr(build, "write_report", full)
    outcome: Outcome = xbench("run", *RUN, "--store", tmp_path)
    assert outcome.code == 2
    assert "Table 1" in outcome.out
    assert "report.md: No space left on device" in outcome.err


def test_a_fault_of_our_own_is_not_taken_for_failed_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(build, "write_report", broken)
    outcome = xbench("run", *RUN, "--store", tmp_path)
    assert outcome.code == 70
    assert "ZeroDivisionError: a fault" in outcome.err
    assert "This is a fault of xbench" in outcome.err
