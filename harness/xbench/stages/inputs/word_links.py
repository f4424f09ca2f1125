"""Word links as a stage leaves them: for each pair of a sample, which words translate each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

_SCHEMA = pa.schema([("row", pa.int32()), ("links", pa.list_(pa.int32()))])


class Links:
    """The links of each pair, by the row of its source sentence in the corpus' table."""

    def __init__(self, by_row: Mapping[int, npt.NDArray[np.integer[Any]]]) -> None:
        self._by_row = by_row

    @classmethod
    def read(cls, path: Path) -> "Links":
        """What :meth:`write` wrote."""
        table = pq.read_table(path, schema=_SCHEMA)
        lists = table.column("links").combine_chunks()
        flat, offsets = lists.values.to_numpy(), lists.offsets.to_numpy()
        rows = table.column("row").to_pylist()
        parts = (flat[offsets[n] : offsets[n + 1]].reshape(-1, 2) for n in range(len(rows)))
        return cls(dict(zip(rows, parts, strict=True)))

    def write(self, path: Path) -> None:
        """One row per pair: its row in the corpus, and its links as one flat list."""
        flat = [links.reshape(-1).tolist() for links in self._by_row.values()]
        columns = {"row": list(self._by_row), "links": flat}
        pq.write_table(pa.table(columns, schema=_SCHEMA), path, compression="zstd")

    def of(self, row: int) -> npt.NDArray[np.integer[Any]]:
        """[K, 2] (word of the source, word of the target)."""
        return self._by_row[row]
