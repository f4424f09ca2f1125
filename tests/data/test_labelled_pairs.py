"""Tables of two texts and a label."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xbench.api import LabelledPair
from xbench.data.files import DataError
from xbench.data.labelled_pairs import pair_rows, read_pairs

LABELS = {"0": "different", "1": "paraphrase"}


def write(folder: Path, text: str) -> Path:
    path = folder / "dev.tsv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_rows_are_not_unquoted_and_part_at_line_ends_only(tmp_path: Path) -> None:
    path = write(tmp_path, '"Ja", sagt\u2028er.\tEr sagt "ja.\t1\r\na\x1cb\tc\t0\n')
    assert list(read_pairs(path, LABELS)) == [
        LabelledPair('"Ja", sagt\u2028er.', 'Er sagt "ja.', "paraphrase", "1"),
        LabelledPair("a\x1cb", "c", "different", "2"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a\tb", "2 columns instead of 3"),
        ("a\tb\t1\t1", "4 columns instead of 3"),
        ("a\tb\t2", "unknown label '2'; known are 0, 1"),
    ],
)
def test_a_damaged_row_is_an_error_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"dev\.tsv:2: {said}"):
        list(read_pairs(write(tmp_path, f"x\ty\t0\n{line}\n"), LABELS))


def test_a_first_line_that_may_be_a_header(tmp_path: Path) -> None:
    hint = r"dev\.tsv:1: unknown label 'label'.*; if the first line is a header, take it out"
    with pytest.raises(DataError, match=hint):
        list(read_pairs(write(tmp_path, "text\tsecond\tlabel\na\tb\t1\n"), LABELS))


def test_all_damaged_rows_are_listed_at_once(tmp_path: Path) -> None:
    rows = "".join(f"a\tb\t{'1' if n % 2 else 'x'}\n" for n in range(30))
    with pytest.raises(DataError) as caught:
        list(read_pairs(write(tmp_path, rows), LABELS))
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("dev.tsv: 15 lines are malformed:")
    assert lines[2] == "  line 3: unknown label 'x'; known are 0, 1"
    assert (len(lines), lines[-1]) == (12, "  and 5 more")


def test_where_a_pair_was_read_and_blank_texts_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "a\tb\t1\n\tb\t0\n")
    first, second = read_pairs(path, LABELS)
    assert (first.at, second.at) == (f"{path}:1", f"{path}:2")
    assert (second.text, second.second) == ("", "b")


def test_tables_of_the_hub(tmp_path: Path) -> None:
    rows = [{"s1": "a", "s2": "b", "label": 1}, {"s1": "c", "s2": "d", "label": 0}]
    path = tmp_path / "0000.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    columns = ("s1", "s2", "label")
    assert list(pair_rows([path], columns, LABELS)) == [
        LabelledPair("a", "b", "paraphrase", "1"),
        LabelledPair("c", "d", "different", "2"),
    ]
    pq.write_table(pa.Table.from_pylist([*rows, {"s1": "e", "s2": "f", "label": -1}]), path)
    with pytest.raises(DataError, match="row 3 has the unknown label '-1'; known are 0, 1"):
        list(pair_rows([path], columns, LABELS))
