"""What a run's input lacks is said before any work: refused where it is tested, else counted."""

import json
from pathlib import Path

import pytest

from ..command import Outcome, xbench
from .test_mistakes import refused

ROW = "\t_" * 6 + "\n\n"
SIB = "index_id\tcategory\ttext\n"


def sib(root: Path, language: str, split: str, rows: list[tuple[str, str, str]]) -> Path:
    path = root / "sib200" / language / f"{split}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SIB + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def topics(data: Path) -> Path:
    """Topics in English and German, ten texts of each split."""
    rows = [(str(n), "travel" if n % 2 else "health", f"text {n} of all") for n in range(10)]
    for language in ("eng_Latn", "deu_Latn"):
        for split in ("train", "dev", "test"):
            sib(data, language, split, rows)
    return data


def paper(data: Path, store: Path, *options: str) -> Outcome:
    quick = ("-O", "finetune.steps=2", "-O", "finetune.batch_size=4", "--jobs", "1")
    return xbench(
        *("run", "--suite", "paper", "--model", "mini-encoder", "--data", data, "--arm", "none"),
        *("--task", "topic", "--language", "deu", "--mode", "linear", "--seed", "1"),
        *("--store", store, "--device", "cpu", *quick, *options),
    )


def test_blank_texts_are_counted_in_training(topics: Path, tmp_path: Path) -> None:
    rows = [("a", "travel", "text a"), ("b", "health", " "), ("c", "health", "text c")]
    sib(topics, "eng_Latn", "train", rows)
    store = tmp_path / "store"
    note = "topic in eng, train: 1 of 3 texts are blank, and are not trained on."
    for _ in range(2):  # the second time from what is remembered
        outcome = paper(topics, store, "--seed", str(_ + 1))
        assert outcome.code == 0, outcome.err
        assert f"Note: {note}" in outcome.err
    for folder in (store / "runs").iterdir():
        assert note in json.loads((folder / "notes.json").read_text())
        assert note in (folder / "report" / "report.md").read_text()
    (result, *_) = [json.loads(p.read_text()) for p in store.glob("finetune/*/result.json")]
    assert result["examples"] == 2


def test_and_refused_where_they_are_tested(topics: Path, tmp_path: Path) -> None:
    path = sib(topics, "deu_Latn", "test", [("a", "travel", "text"), ("b", "health", " ")])
    parts = [f"{path}:3: no text (item 'b')", "deu, test"]
    refused(paper(topics, tmp_path / "store"), *parts)
    assert not (tmp_path / "store" / "runs").exists()


def test_parallel_sets_whose_items_differ_say_so(topics: Path, tmp_path: Path) -> None:
    rows = [(str(n), "travel", f"text {n}") for n in range(3, 10)] + [("x", "health", "text x")]
    sib(topics, "deu_Latn", "test", rows)
    outcome = paper(topics, tmp_path / "store", "--language", "deu,eng")
    assert outcome.code == 0, outcome.err
    assert "languages lack some of its 11 items: deu 3, eng 1" in outcome.err


def test_equal_ones_say_nothing(topics: Path, tmp_path: Path) -> None:
    outcome = paper(topics, tmp_path / "store", "--language", "deu,eng")
    assert outcome.code == 0, outcome.err
    assert "Note:" not in outcome.err


def test_a_quote_that_swallows_rows_is_found_with_its_line(topics: Path, tmp_path: Path) -> None:
    rows = [(str(n), "travel", f"text {n}") for n in range(40)]
    rows[3], rows[28] = ("3", "travel", '"Text that opens'), ("28", "travel", 'and closes"')
    path = sib(topics, "deu_Latn", "test", rows)
    refused(paper(topics, tmp_path / "store"), f"{path}:5: a quote opens a column")


def test_labels_that_the_task_lacks_name_file_line_language_split_and_ways_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data / "extra" / "panx"
    folder.mkdir(parents=True)
    for language in ("en", "de"):
        for split in ("train", "dev", "test"):
            text = "Ada\tB-PER\n\nUlm\tB-LOC\n\n"
            (folder / f"{split}-{language}.tsv").write_text(text)
    (folder / "test-de.tsv").write_text("Ada\tB-PER\n\nOskar\tB-MISC\n\n")
    parts = ["deu, test", "test-de.tsv:3", "unknown label 'B-MISC'", "labels: {MISC: O}"]
    options = ("--task", "ner")
    refused(paper(data, tmp_path / "store", *options), *parts)
    registry = tmp_path / "mine.yaml"
    registry.write_text(
        "suites: {paper: {tasks: {ner: {source: wikiann, options: {labels: {MISC: O}}}}}}\n"
    )
    monkeypatch.setenv("XBENCH_REGISTRY", str(registry))
    outcome = paper(data, tmp_path / "store", *options)
    assert outcome.code == 0, outcome.err


def test_text_that_guards_an_alignment_is_looked_at_too(topics: Path, tmp_path: Path) -> None:
    """It is read by the alignment, hours later, and not by this run's task."""
    path = sib(topics, "deu_Latn", "test", [("a", "travel", '"never closed')])
    options = ("--arm", "aligned", "--objective", "mlm", "--pair", "de-en", "--task", "pos")
    outcome = paper(topics, tmp_path / "store", *options, "--mode", "linear")
    refused(outcome, f"{path}:2: a quote opens a column")
