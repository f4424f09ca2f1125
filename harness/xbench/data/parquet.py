"""Tables as the hub keeps them: parquet files, read row by row."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xbench.api.examples import LabelledText
from xbench.data.files import DataError

_ROWS = 1024


def read_rows(files: Sequence[Path], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The named columns of all rows, file after file, with the values that parquet gives.

    Raises :class:`DataError` naming the file where it is damaged or lacks a column.
    """
    for path in files:
        table = _open(path)
        missing = [name for name in columns if name not in table.schema_arrow.names]
        if missing:
            has = ", ".join(table.schema_arrow.names)
            raise DataError(f"{path} has no column {', '.join(missing)}; it has {has}")
        for batch in table.iter_batches(_ROWS, columns=list(columns)):
            yield from batch.to_pylist()


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no complete parquet file ({error}); fetch it again") from None


def class_names(path: Path, column: str) -> list[str] | None:
    """The names of a column of class numbers, as the ``datasets`` library notes them in the file."""
    notes = (_open(path).schema_arrow.metadata or {}).get(b"huggingface")
    if notes is None:
        return None
    features = json.loads(notes).get("info", {}).get("features", {})
    feature = features.get(column) or {}
    inner = feature.get("feature", feature)
    names = inner.get("names") if isinstance(inner, dict) else None
    return list(names) if names else None


def labelled_rows(
    files: Sequence[Path], text: str, label: str, name: str | None = None
) -> Iterator[LabelledText]:
    """Texts with a label; a label that is a class number is given its name."""
    names = class_names(files[0], label) if files else None
    columns = [text, label, *([name] if name else [])]
    for number, row in enumerate(read_rows(files, columns)):
        value = row[label]
        is_number = names and isinstance(value, int) and 0 <= value < len(names)
        shown = names[value] if names and is_number else str(value)
        at = f"{files[0].parent}, row {number + 1}"
        yield LabelledText(row[text] or "", shown, str(row[name]) if name else str(number), at)
