"""Rows of integers of different lengths, kept in a memory-mapped Arrow file.

A cache of tokenised text: written once, then read without copying by any number of processes.
"""

import hashlib
import json
import os
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Row = Mapping[str, Sequence[int]]
Integers = npt.NDArray[np.int32]

_LAYOUT = 1  # part of every name in the cache: raise it when the layout of the files changes
_ROWS_PER_BATCH = 4096


class DamagedTableError(ValueError):
    """The file is no complete table of integer rows."""


class RaggedTable:
    """Named columns of integer rows, mapped into memory. ``len(table)`` is the number of rows."""

    def __init__(self, batches: Sequence[pa.RecordBatch], columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._starts: list[int] = [0, *accumulate(int(batch.num_rows) for batch in batches)]
        self._offsets = {c: [b.column(c).offsets.to_numpy() for b in batches] for c in columns}
        self._values = {c: [b.column(c).values.to_numpy() for b in batches] for c in columns}

    @classmethod
    def open(cls, path: Path) -> "RaggedTable":
        """Maps a file of :func:`write_ragged`; raises :class:`DamagedTableError` if it is cut."""
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            for batch in batches:
                batch.validate()
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise DamagedTableError(f"{path} is not a complete table: {error}") from error
        return cls(batches, reader.schema.names)

    def __len__(self) -> int:
        return self._starts[-1]

    def row(self, column: str, index: int) -> Integers:
        """Row ``index`` of a column: a read-only view into the file, ``[length]`` int32."""
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of a table of {len(self)} rows")
        batch = bisect_right(self._starts, index) - 1
        offsets = self._offsets[column][batch]
        place = index - self._starts[batch]
        row: Integers = self._values[column][batch][offsets[place] : offsets[place + 1]]
        return row

    def distinct(self, column: str) -> Integers:
        """The values that occur in a column, each once, in order."""
        parts = [
            np.unique(values[offsets[0] : offsets[-1]])
            for values, offsets in zip(self._values[column], self._offsets[column], strict=True)
        ]
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *parts]))

    def lengths(self, column: str) -> npt.NDArray[np.int64]:
        """How long each row of a column is, ``[len(table)]``."""
        per_batch = [np.diff(offsets).astype(np.int64) for offsets in self._offsets[column]]
        return np.concatenate([np.zeros(0, dtype=np.int64), *per_batch])


def write_ragged(path: Path, rows: Iterable[Row]) -> None:
    """Writes rows as they come; the first row names the columns, the others must have the same.
    Without rows the table has no columns.

    The file appears under its name only when it is whole and on disk.
    """
    rows = iter(rows)
    first = list(islice(rows, 1))
    schema = pa.schema([(name, pa.list_(pa.int32())) for name in sorted(first[0] if first else ())])
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as sink:
            with pa.ipc.new_file(sink, schema) as writer:
                for batch in _batches(first, rows, schema):
                    writer.write_batch(batch)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def cached(
    folder: Path, identity: Mapping[str, Any], make_rows: Callable[[], Iterable[Row]]
) -> RaggedTable:
    """The table that ``identity`` stands for, made by ``make_rows`` where it is not there yet.

    ``identity`` must hold JSON values only and name all that the rows depend on. Several processes
    may ask at once: each writes a file of its own, and the last one done replaces an equal one.
    A damaged file is set aside (``*.damaged``) and made anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_identity_digest(identity)}.arrow"
    try:
        return RaggedTable.open(path)
    except FileNotFoundError:
        pass
    except DamagedTableError:
        with suppress(FileNotFoundError):  # another process may have been quicker
            os.replace(path, path.with_suffix(".damaged"))
    write_ragged(path, make_rows())
    return RaggedTable.open(path)


def _batches(first: list[Row], rows: Iterator[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    chunk = [*first, *islice(rows, _ROWS_PER_BATCH - len(first))]
    while chunk:
        for row in chunk:
            if sorted(row) != schema.names:
                raise ValueError(f"a row has the columns {sorted(row)}, the first {schema.names}")
        arrays = [
            pa.array([row[name] for row in chunk], schema.field(name).type) for name in schema.names
        ]
        yield pa.record_batch(arrays, schema=schema)
        chunk = list(islice(rows, _ROWS_PER_BATCH))


def _identity_digest(identity: Mapping[str, Any]) -> str:
    content = {"layout": _LAYOUT, "identity": dict(identity)}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
