import gzip
import os
from pathlib import Path

import pytest

from xbench.data.files import DataError, count_lines, digest, find, read_lines

TEXT = "first\nsecond \u2028 still second\x1c and here\r\n\nlast without an end"
LINES = ["first", "second \u2028 still second\x1c and here", "", "last without an end"]


def write_plain(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def write_gzip(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


@pytest.mark.parametrize("write", [write_plain, write_gzip])
def test_lines_end_at_newline_only(tmp_path: Path, write) -> None:
    path = write(tmp_path / "text", TEXT.encode())
    assert list(read_lines(path)) == LINES
    assert count_lines(path) == len(LINES)


@pytest.mark.parametrize(
    ("content", "lines"), [(b"", []), (b"\n", [""]), (b"a", ["a"]), (b"a\n", ["a"])]
)
def test_last_line_end_is_no_line_of_its_own(tmp_path: Path, content: bytes, lines) -> None:
    path = write_plain(tmp_path / "text", content)
    assert list(read_lines(path)) == lines
    assert count_lines(path) == len(lines)


def test_byte_order_mark_is_dropped_at_the_start_only(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "text", "\ufeffa\n\ufeffb\n".encode())
    assert list(read_lines(path)) == ["a", "\ufeffb"]


def test_bad_utf8_names_file_and_line(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "text", b"good\nb\xe9d\n")
    with pytest.raises(DataError, match=r"text:2: not UTF-8 at byte 1"):
        list(read_lines(path))


@pytest.mark.parametrize("kept", [1, 5, 15, -9, -1])
def test_cut_gzip_is_an_error_for_reading_and_for_the_digest(tmp_path: Path, kept: int) -> None:
    whole = gzip.compress(os.urandom(1000).hex().encode())
    path = write_plain(tmp_path / "text.gz", whole[:kept])
    with pytest.raises(DataError, match=r"text\.gz"):
        list(read_lines(path))
    with pytest.raises(DataError, match=r"text\.gz"):
        digest(path)


def test_damaged_gzip_is_an_error(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(b"some text\n" * 100))
    content[-6] ^= 0xFF
    with pytest.raises(DataError, match="damaged"):
        list(read_lines(write_plain(tmp_path / "text.gz", bytes(content))))


@pytest.mark.parametrize("content", [b"", b"plain text\n"])
def test_gz_name_without_gzip_content_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"named \.gz"):
        list(read_lines(write_plain(tmp_path / "text.gz", content)))


def test_digest_is_that_of_the_uncompressed_content(tmp_path: Path) -> None:
    # sha256 of "abc", FIPS 180-2 appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(write_plain(tmp_path / "plain", b"abc")) == expected
    assert digest(write_gzip(tmp_path / "packed.gz", b"abc")) == expected


def test_digest_follows_a_change_of_the_file(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "text", b"abc\n")
    before = digest(path)
    write_plain(path, b"abd\n")
    os.utime(path, ns=(0, 0))
    assert digest(path) != before


def test_find_takes_a_file_or_its_gzip_and_prefers_the_file(tmp_path: Path) -> None:
    assert find(tmp_path, "*-test.conllu") is None
    packed = write_gzip(tmp_path / "xx-test.conllu.gz", b"")
    assert find(tmp_path, "*-test.conllu") == packed
    plain = write_plain(tmp_path / "xx-test.conllu", b"")
    assert find(tmp_path, "*-test.conllu") == plain
    assert find(tmp_path / "nowhere", "*") is None


def test_find_refuses_to_choose(tmp_path: Path) -> None:
    write_plain(tmp_path / "xx-test.conllu", b"")
    write_gzip(tmp_path / "yy-test.conllu.gz", b"")
    with pytest.raises(DataError, match=r"xx-test\.conllu, yy-test\.conllu"):
        find(tmp_path, "*-test.conllu")
