import gzip
from pathlib import Path

import pytest

from xbench.api import ParallelText
from xbench.data.bitext import read_columns, read_line_aligned
from xbench.data.files import DataError

TABLE = "source\ten_words\tde\ten\nweb\t2\teins \tone\nweb\t1\t\ttwo\nweb\t5\tdrei\tthree\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_line_aligned_pairs_skip_and_count_empty_sides(tmp_path: Path) -> None:
    source = write(tmp_path / "x.de", "eins\r\n \u3000\nzwei\u2028halb\nvier\n")
    target = tmp_path / "x.en.gz"
    target.write_bytes(gzip.compress(b"one\ntwo\nthree\n"))
    with pytest.raises(DataError, match=r"x\.de has 4 lines and .*x\.en\.gz has 3"):
        read_line_aligned(source, target)
    target.write_bytes(gzip.compress(b"one\ntwo\nthree\n\n"))
    pairs = read_line_aligned(source, target)
    assert list(pairs) == [
        ParallelText("eins", "one", "1"),
        ParallelText("zwei\u2028halb", "three", "3"),
    ]
    assert pairs.skipped == 2


def test_columns_in_either_order(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", TABLE)
    pairs = read_columns(path, "en", "de")
    assert list(pairs) == [ParallelText("one", "eins", "2"), ParallelText("three", "drei", "4")]
    assert pairs.skipped == 1


def test_minimum_keeps_rows_at_or_above_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", TABLE)
    for least, ids in ((1, ["2", "4"]), (2, ["2", "4"]), (3, ["4"]), (6, [])):
        pairs = read_columns(path, "de", "en", {"en_words": least})
        assert [pair.id for pair in pairs] == ids


def test_minimum_needs_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", TABLE)
    with pytest.raises(
        DataError, match=r"(?s)x\.tsv: 3 lines.*line 2: source is 'web', not a whole number"
    ):
        list(read_columns(path, "de", "en", {"source": 1}))


def test_rows_are_read_only_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", TABLE + "a broken row\n")
    pairs = read_columns(path, "de", "en")
    assert [next(pairs).id, next(pairs).id] == ["2", "4"]
    with pytest.raises(DataError, match=r"x\.tsv:5: 1 columns"):
        next(pairs)


ROWS = {  # of each pair, and those of at least four English words
    "de-en": (9979, 6137),
    "en-kk": (11882, 7891),
    "ja-kk": (9782, 5883),
    "kk-ko": (9808, 5907),
}


def test_real_pairs(real_data: Path) -> None:
    for pair, (rows, long_rows) in ROWS.items():
        path = real_data / "parallel" / "pairs" / f"{pair}.tsv.gz"
        every = read_columns(path, *pair.split("-"))
        assert len(list(every)) == rows, pair
        assert every.skipped == 0
        found = list(read_columns(path, *pair.split("-"), {"en_words": 4}))
        assert len(found) == long_rows, pair


def test_real_line_aligned_files(real_data: Path) -> None:
    folder = real_data / "parallel" / "multi30k"
    for name, lines in (("train", 29000), ("val", 1014), ("test_2016_flickr", 1000)):
        pairs = read_line_aligned(folder / f"{name}.de.gz", folder / f"{name}.fr.gz")
        assert len(list(pairs)) + pairs.skipped == lines
