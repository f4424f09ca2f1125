import csv
import gzip
import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xbench.api import LabelledText
from xbench.data.files import DataError
from xbench.data.tsv import SIB200_LABELS, read_sib200, read_tsv

HEADER = "index_id\tcategory\ttext"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")
    return path


def test_columns_come_in_the_order_asked_for_and_quotes_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", "key\ten\tde", '1\t"so', "\tna ja\x1c", '2\t"a"\t')
    wanted = r"(?s)x\.tsv: 2 lines.*line 2: 2 columns where the header has 3\n  line 3: 2 columns"
    with pytest.raises(DataError, match=wanted):
        list(read_tsv(path, ["de"]))
    path = write(tmp_path / "x.tsv", "key\ten\tde", '1\t"so\tna ja\x1c', '2\t"a"\t')
    assert list(read_tsv(path, ["de", "en"])) == [("na ja\x1c", '"so'), ("", '"a"')]


@pytest.mark.parametrize("header", ["key\ten", "de\tde\ten", ""])
def test_columns_that_the_header_does_not_name_once(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=r"x\.tsv:1: .*does not name de exactly once"):
        list(read_tsv(write(tmp_path / "x.tsv", header), ["de"]))


def test_sib200_rows_are_unquoted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.tsv",
        HEADER,
        '7\ttravel\t"She said ""go"", twice."',
        "8\tsports\tit's 5\u2028pm",
    )
    assert list(read_sib200(path)) == [
        LabelledText('She said "go", twice.', "travel", "7"),
        LabelledText("it's 5\u2028pm", "sports", "8"),
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["id\tcategory\ttext"], "1: the header is"),
        ([], "1: the header is"),
        ([HEADER, "1\ttravel\ta", "2\tcooking\tb"], "3: unknown category 'cooking'"),
        ([HEADER, "1\ttravel"], "2: 2 columns instead of 3"),
        ([HEADER, "1\ttravel\ta\tb"], "2: 4 columns instead of 3"),
        ([HEADER, '1\ttravel\t"never closed'], "2: a quote opens a column and is not closed"),
        ([HEADER, '1\ttravel\t"closed" early'], "2: broken quoting"),
    ],
)
def test_malformed_sib200_names_file_and_line(tmp_path: Path, lines, problem: str) -> None:
    with pytest.raises(DataError, match=rf"x\.tsv:{problem}"):
        list(read_sib200(write(tmp_path / "x.tsv", *lines)))


def test_a_record_is_a_line_whatever_its_quotes_do(tmp_path: Path) -> None:
    """A quote that opens, and one that closes many rows later: no row is swallowed between them."""
    rows = [f"{n}\ttravel\ttext {n}" for n in range(40)]
    rows[5] = '5\ttravel\t"Hello, he said'
    rows[30] = '30\ttravel\tand left"'
    with pytest.raises(DataError, match=r"x\.tsv:7: a quote opens a column and is not closed"):
        list(read_sib200(write(tmp_path / "x.tsv", HEADER, *rows)))
    rows[5] = '5\ttravel\t"Hello, he said"'
    assert len(list(read_sib200(write(tmp_path / "x.tsv", HEADER, *rows)))) == 40


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff\0"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(SIB200_LABELS), TEXTS), max_size=5))
def test_sib200_reads_what_a_csv_writer_wrote(tmp_path: Path, rows) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(["index_id", "category", "text"])
    writer.writerows((number, label, text) for number, (label, text) in enumerate(rows))
    path = tmp_path / "x.tsv"
    path.write_bytes(buffer.getvalue().encode("utf-8"))
    assert list(read_sib200(path)) == [
        LabelledText(text, label, str(number)) for number, (label, text) in enumerate(rows)
    ]


# train / dev / test, from the data set's description
TOPICS = {
    "science/technology": (176, 25, 51),
    "travel": (138, 20, 40),
    "politics": (102, 14, 30),
    "sports": (85, 12, 25),
    "health": (77, 11, 22),
    "entertainment": (65, 9, 19),
    "geography": (58, 8, 17),
}


def test_real_sib200_has_the_same_items_in_every_language(real_data: Path) -> None:
    for column, split in enumerate(("train", "dev", "test")):
        gold = set()
        paths = sorted((real_data / "sib200").glob(f"*/{split}.tsv.gz"))
        assert len(paths) == 39
        for path in paths:
            rows = list(read_sib200(path))
            counts = Counter(row.label for row in rows)
            assert counts == {topic: numbers[column] for topic, numbers in TOPICS.items()}, path
            gold.add(frozenset((row.id, row.label) for row in rows))
        assert len(gold) == 1, split


def test_real_english_sib200_has_its_quoted_rows_unquoted(real_data: Path) -> None:
    raw = quoted = 0
    for split in ("train", "dev", "test"):
        path = real_data / "sib200" / "eng_Latn" / f"{split}.tsv.gz"
        raw += gzip.decompress(path.read_bytes()).decode().count('\t"')
        quoted += sum(row.text.startswith('"') and '""' in row.text for row in read_sib200(path))
    assert raw == 53
    assert quoted == 0
