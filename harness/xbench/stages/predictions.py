"""The file of an evaluation: one row per item with its id, gold and predicted class numbers."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from xbench.plan.artefacts import PREDICTIONS
from xbench.store import Entry

SCHEMA = pa.schema(
    [("id", pa.string()), ("gold", pa.list_(pa.int32())), ("predicted", pa.list_(pa.int32()))]
)


def write_predictions(
    entry: Entry,
    ids: Sequence[str],
    gold: Sequence[Sequence[int]],
    predicted: Sequence[Sequence[int]],
) -> None:
    """Write them into the entry's folder, items in the order given."""
    columns = {"id": ids, "gold": gold, "predicted": predicted}
    table = pa.table(columns, schema=SCHEMA)
    pq.write_table(table, entry.folder / PREDICTIONS, compression="zstd")
