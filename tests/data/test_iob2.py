"""Files of IOB2 tags, and the hub's tables of them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.api import TaggedSentence
from xbench.data.files import DataError
from xbench.data.iob2 import read_iob2, tagged_rows

TEXT = "Ada\tB-PER\nLovelace\tI-PER\n\nRom\tB-LOC\n.\tO\n\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "test.tsv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def table(folder: Path, rows: list[dict[str, Any]], names: list[str] | None) -> Path:
    content = pa.Table.from_pylist(rows)
    if names:
        feature = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}
        notes = {"huggingface": json.dumps({"info": {"features": {"ner_tags": feature}}})}
        content = content.replace_schema_metadata(notes)
    path = folder / "0000.parquet"
    pq.write_table(content, path)
    return path


@pytest.mark.parametrize("text", [TEXT, TEXT.rstrip("\n"), "\n\n" + TEXT, TEXT + "\n"])
def test_sentences_and_their_numbers(tmp_path: Path, text: str) -> None:
    assert list(read_iob2(write(tmp_path, text))) == [
        TaggedSentence(("Ada", "Lovelace"), ("B-PER", "I-PER"), "1"),
        TaggedSentence(("Rom", "."), ("B-LOC", "O"), "2"),
    ]


def test_types_are_renamed_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "Ada B-PERSON\n1815 B-DATE\nRom B-GPE\nAlt I-GPE\n")
    (sentence,) = read_iob2(path, " ", {"PERSON": "PER", "GPE": "LOC"})
    assert sentence.tags == ("B-PER", "O", "B-LOC", "I-LOC")


def test_a_span_may_begin_with_i(tmp_path: Path) -> None:
    (sentence,) = read_iob2(write(tmp_path, "a\tI-LOC\n"))
    assert sentence.tags == ("I-LOC",)


@pytest.mark.parametrize(
    "line", ["Rom", "Rom\tLOC", "Rom\tB-", "\tO", "Rom B-LOC", "a\tRom\tB-LOC", "Rom\t"]
)
def test_another_form_is_an_error_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"test\.tsv:3: .* is not a word and an IOB2 tag"):
        list(read_iob2(write(tmp_path, f"Ada\tO\n\n{line}\n")))


words = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=4)
tagged = st.lists(
    st.tuples(words, st.sampled_from(["O", "B-PER", "I-LOC"])), min_size=1, max_size=5
)


@given(st.lists(tagged, max_size=4))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]]
) -> None:
    text = "".join("".join(f"{w}\t{t}\n" for w, t in rows) + "\n" for rows in sentences)
    found = list(read_iob2(write(tmp_path_factory.mktemp("iob2"), text)))
    assert [list(zip(s.words, s.tags, strict=True)) for s in found] == sentences


def test_tables_name_their_classes(tmp_path: Path) -> None:
    rows = [{"tokens": ["Ada", "ging"], "ner_tags": [1, 0]}, {"tokens": [], "ner_tags": []}]
    path = table(tmp_path, rows, ["O", "B-PER"])
    assert list(tagged_rows([path], "tokens", "ner_tags")) == [
        TaggedSentence(("Ada", "ging"), ("B-PER", "O"), "1")
    ]


@pytest.mark.parametrize(("names", "said"), [(None, "no classes"), (["O", "B-PER"], "O, B-PER")])
def test_a_class_without_a_name_is_an_error(
    tmp_path: Path, names: list[str] | None, said: str
) -> None:
    path = table(tmp_path, [{"tokens": ["Ada"], "ner_tags": [5]}], names)
    with pytest.raises(DataError, match=rf"row 1 has the tags \[5\].*{said}"):
        list(tagged_rows([path], "tokens", "ner_tags"))
