"""Text files, plain or gzip-compressed, read by one call and identified by their content."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from xbench.files import is_hidden as is_hidden  # for sources, which import xbench.data alone

_GZIP_MAGIC = b"\x1f\x8b"  # never the start of UTF-8 text, so the two kinds cannot be confused
_BLOCK = 1 << 20
_BYTE_ORDER_MARK = "\ufeff"


HEADER = "; if the first line is a header, take it out"
"""What is added to a problem of a file's first line, where the format has no header."""


class DataError(ValueError):
    """A data file is damaged or malformed; the message names the file and the line."""

    @classmethod
    def at(cls, path: Path, line: int, problem: str) -> "DataError":
        """The error for line ``line`` (counted from 1) of ``path``."""
        return cls(f"{path}:{line}: {problem}")


class BadLines:
    """Collects what is wrong with the lines of a file, so that all of it is said at once."""

    SHOWN = 10

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: list[tuple[int, str]] = []
        self._count = 0

    def add(self, line: int, problem: str) -> None:
        """Note a problem of a line (counted from 1)."""
        self._count += 1
        if len(self._first) < self.SHOWN:
            self._first.append((line, problem))

    def check(self) -> None:
        """Raises :class:`DataError` with the first ten problems, and how many more there are."""
        if self._count == 1:
            raise DataError.at(self._path, *self._first[0])
        if self._count:
            shown = [f"  line {line}: {problem}" for line, problem in self._first]
            more = self._count - len(self._first)
            shown += [f"  and {more} more"] if more else []
            raise DataError(
                "\n".join([f"{self._path}: {self._count} lines are malformed:", *shown])
            )


@dataclass(frozen=True)
class _Content:
    sha256: str
    lines: int


_scanned: dict[tuple[str, int, int], _Content] = {}


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or gzip, one at a time and without their line ends.

    Lines end at ``\\n`` only (some corpora hold U+2028 or U+001C inside a line); a ``\\r`` before
    it is dropped, and so is a byte order mark at the start.
    Raises :class:`DataError` for bytes that are not UTF-8, for a ``\\r`` that ends no line (old
    Macintosh files have nothing else, and would be read as one line), and for damaged or cut gzip
    data.
    """
    number = 0
    with _open_bytes(path) as stream, _gzip_errors(path):
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError.at(
                    path, number, f"not UTF-8 at byte {error.start} of the line ({error.reason})"
                ) from None
            line = line.removesuffix("\n").removesuffix("\r")
            if "\r" in line:
                raise DataError.at(
                    path,
                    number,
                    "a carriage return (CR) stands inside the line; if CRs end the lines of this "
                    "file, as on old Macintoshes, write it anew with `tr '\\r' '\\n'`",
                )
            yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def digest(path: Path) -> str:
    """The sha256 of the uncompressed content: a file and its gzip have the same digest.

    Remembered per path, size and modification time, so that asking again costs nothing.
    """
    return _scan(path).sha256


def count_lines(path: Path) -> int:
    """How many lines :func:`read_lines` gives; remembered like :func:`digest`."""
    return _scan(path).lines


def find(folder: Path, *patterns: str) -> Path | None:
    """The one file in ``folder`` that matches a glob pattern, as it is or with ``.gz`` added.

    Of a file and its gzip the plain one is taken. ``None`` where nothing matches;
    raises :class:`DataError` where different files do.
    """
    matches = find_all(folder, *patterns)
    if len(matches) > 1:
        raise DataError(
            f"{folder} holds more than one file for {' or '.join(patterns)}: "
            f"{', '.join(map(name_without_gzip, matches))}; leave one of them there"
        )
    return next(iter(matches), None)


def find_all(folder: Path, *patterns: str) -> list[Path]:
    """All files in ``folder`` that match a glob pattern, in the order of their names; as :func:`find`.

    Hidden files are none: systems and editors leave ``._x`` and ``.x.swp`` beside data.
    """
    matches = {
        name_without_gzip(path): path
        for suffix in (".gz", "")
        for pattern in patterns
        for path in folder.glob(pattern + suffix)
        if path.is_file() and not is_hidden(path)
    }
    return [matches[name] for name in sorted(matches)]


def name_without_gzip(path: Path) -> str:
    """The file's name as if it were not compressed."""
    return path.name.removesuffix(".gz")


def _scan(path: Path) -> _Content:
    status = path.stat()
    memory_key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if memory_key not in _scanned:
        _scanned[memory_key] = _read_through(path)
    return _scanned[memory_key]


def _read_through(path: Path) -> _Content:
    sha256, lines, last = hashlib.sha256(), 0, b"\n"
    with _open_bytes(path) as stream, _gzip_errors(path):
        while block := stream.read(_BLOCK):
            sha256.update(block)
            lines += block.count(b"\n")
            last = block[-1:]
    return _Content(sha256.hexdigest(), lines + (last != b"\n"))


@contextmanager
def _open_bytes(path: Path) -> Iterator[io.BufferedIOBase]:
    with open(path, "rb") as raw:
        compressed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        raw.seek(0)
        if compressed:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield unpacked
        elif path.suffix == ".gz":
            raise DataError(f"{path} is named .gz but holds no gzip data; fetch it again")
        else:
            yield raw


@contextmanager
def _gzip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError:
        _damaged(path, "ends too early")
    except (gzip.BadGzipFile, zlib.error) as error:
        _damaged(path, f"is damaged ({error})")


def _damaged(path: Path, problem: str) -> NoReturn:
    raise DataError(f"{path}: the gzip data {problem}; fetch the file again") from None
