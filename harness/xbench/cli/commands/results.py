"""``xbench results``: the tidy table."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xbench.cli.options import STORE
from xbench.cli.output import write_data
from xbench.errors import UnknownName, XbenchError
from xbench.store import Store

if TYPE_CHECKING:
    import pandas as pd

NULL = "null"
"""How a condition names an absent dimension."""


@click.command("results")
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: the last one).")
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="NAME=VALUE,...",
    help="Only rows with these values: task=pos,arm=aligned|none; null where there is none.",
)
@click.option("--columns", help="Which columns, comma-separated, in this order (default: all).")
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file (parquet: needed).")
def command(
    store: Store,
    run: str | None,
    form: str,
    conditions: tuple[str, ...],
    columns: str | None,
    out: Path | None,
) -> int:
    """Print the tidy table of a run: a row per measured value, failures included."""
    from xbench.files import write_atomic
    from xbench.report.run.stored import StoredRun

    frame = StoredRun.find(store, run).rows
    content = FORMATS[form](take_columns(take_rows(frame, conditions), columns))
    if out is not None:
        write_atomic(out, content)
    elif isinstance(content, bytes):
        raise XbenchError(f"--format {form} writes a binary file: name it with --out FILE.")
    else:
        write_data(content)
    return 0


def take_rows(frame: "pd.DataFrame", conditions: tuple[str, ...]) -> "pd.DataFrame":
    """The rows that meet all conditions ``NAME=VALUE|VALUE``, of which a text may hold several.

    Raises :class:`UnknownName` for a column that there is not, :class:`XbenchError` for a condition
    that is none. No row at all is an answer.
    """
    for condition in ",".join(conditions).split(","):
        name, equals, wanted = (part.strip() for part in condition.partition("="))
        if not condition.strip():
            continue
        if not equals or not name:
            raise XbenchError(
                f"--where {condition.strip()}: expected NAME=VALUE, as task=pos or seed=15|33"
            )
        _check(frame, name)
        frame = frame[_texts(frame[name]).isin([value.strip() for value in wanted.split("|")])]
    return frame


def take_columns(frame: "pd.DataFrame", columns: str | None) -> "pd.DataFrame":
    """The columns named, in the order in which they are. Raises :class:`UnknownName`."""
    if columns is None:
        return frame
    names = [name.strip() for name in columns.split(",") if name.strip()]
    for name in names:
        _check(frame, name)
    return frame[list(dict.fromkeys(names))] if names else frame


def _check(frame: "pd.DataFrame", name: str) -> None:
    if name not in frame.columns:
        raise UnknownName("column", name, list(frame.columns))


def _texts(column: "pd.Series[str]") -> "pd.Series[str]":
    """Values as the table shows them in CSV, and a word for null."""
    return column.astype(object).map(str).where(column.notna(), NULL)


def _csv(frame: "pd.DataFrame") -> str:
    return str(frame.to_csv(index=False))


def _json(frame: "pd.DataFrame") -> str:
    # Not pandas' own writer, which cuts numbers after some digits.
    nulls = frame.astype(object).where(frame.notna(), None)
    return json.dumps(nulls.to_dict("records"), indent=1, ensure_ascii=False) + "\n"


def _parquet(frame: "pd.DataFrame") -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()


FORMATS: dict[str, Callable[["pd.DataFrame"], str | bytes]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}
