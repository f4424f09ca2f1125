"""``xbench results``: the tidy table."""

from pathlib import Path

import click

from xbench.cli.options import STORE
from xbench.errors import XbenchError
from xbench.store import Store


@click.command("results")
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: the last one).")
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv")
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file (parquet needs one).")
def command(store: Path, run: str | None, form: str, out: Path | None) -> int:
    """Print the tidy table of a run: a row per measured value, failures included."""
    from xbench.files import write_atomic
    from xbench.results import find_run, read_run, results

    place = Store(store)
    place.check_format()
    frame = results(place, read_run(find_run(place, run)))
    if form == "parquet":
        if out is None:
            raise XbenchError("--format parquet writes a binary file: name it with --out FILE")
        frame.to_parquet(out, index=False)
        return 0
    if form == "csv":
        text = frame.to_csv(index=False)
    else:
        text = frame.to_json(orient="records", indent=1, force_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomic(out, text)
    return 0
