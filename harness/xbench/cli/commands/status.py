"""``xbench status``: how far the runs of a store are."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xbench.cli.options import STORE
from xbench.store import Store

if TYPE_CHECKING:
    import pandas as pd


@click.command("status")
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: the last one).")
@click.option("--traceback", is_flag=True, help="Show where each failure was raised.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(store: Store, run: str | None, traceback: bool, form: str) -> int:
    """Show how far a run is: cells done, failed, blocked, missing, without data."""
    from xbench.catalogue.catalogue import Catalogue
    from xbench.cli.cluster import queue_lines
    from xbench.report.run.stored import StoredRun

    found = StoredRun.find(store, run)
    first, rows = found.selection.metrics, found.rows
    cells = rows[[m == first.get(t, m) for m, t in zip(rows["metric"], rows["task"], strict=True)]]
    counts = Counter(cells["status"])
    if form == "json":
        failed = [str(failure) for failure in found.failures]
        content = {"run": found.name, "cells": dict(counts), "failures": failed}
        click.echo(json.dumps(content, indent=1))
        return 0
    click.echo(f"run {found.name} in {found.store}")
    for state in ("done", "failed", "blocked", "missing", "unavailable"):
        if counts[state]:
            click.echo(f"  {counts[state]:>6} cells {state}")
    for line in _without_data(cells):
        click.echo(f"  {line}")
    for line in queue_lines(found.folder, Catalogue.installed()):
        click.echo(f"  {line}")
    for failure in found.failures:
        click.echo(f"  {failure}")
        if traceback:
            click.echo(_indented(failure.log))
    return 0


def _without_data(cells: "pd.DataFrame") -> list[str]:
    """Why cells are unavailable: a line for each task and reason, with the languages."""
    lacking = cells[cells["status"] == "unavailable"]
    groups = lacking.groupby(["task", "reason"], sort=False, dropna=False)["language"]
    return [
        f"unavailable: {task} in {', '.join(dict.fromkeys(codes))}: {reason}"
        for (task, reason), codes in groups
    ]


def _indented(log: Path) -> str:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        text = f"{log} cannot be read: {error.strerror}"
    return "\n".join(f"      {line}" for line in text.rstrip().splitlines())
