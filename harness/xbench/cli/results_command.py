"""``xbench results``: the tidy table."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xbench.cli.options import STORE
from xbench.errors import XbenchError
from xbench.store import Store

if TYPE_CHECKING:
    import pandas as pd


@click.command("results")
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: the last one).")
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv")
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file (parquet: needed).")
def command(store: Path, run: str | None, form: str, out: Path | None) -> int:
    """Print the tidy table of a run: a row per measured value, failures included."""
    from xbench.files import write_atomic
    from xbench.results import find_run, read_run, results

    place = Store(store)
    place.check_format()
    content = FORMATS[form](results(place, read_run(find_run(place, run))))
    if out is not None:
        write_atomic(out, content)
    elif isinstance(content, bytes):
        raise XbenchError(f"--format {form} writes a binary file: name it with --out FILE.")
    else:
        click.echo(content, nl=False)
    return 0


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
