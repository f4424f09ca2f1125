"""``xbench plan``: what a run would compute."""

import json
from pathlib import Path
from typing import Any

import click

from xbench.cli.options import STORE, spec_from, spec_options
from xbench.store import Store


@click.command("plan")
@spec_options
@STORE
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(store: Path, offline: bool, form: str, **values: Any) -> int:
    """Show what a run would compute, and what is cached. Computes and writes nothing."""
    from xbench.cli.session import open_session

    session = open_session(spec_from(values), Store(store), offline)
    counts = session.work.counts(session.plan)
    if form == "json":
        gaps = session.plan.gaps
        click.echo(
            json.dumps({"stages": counts, "cells": len(session.plan.cells), "gaps": gaps}, indent=1)
        )
        return 0
    click.echo(f"{'stage':<10}{'total':>7}{'cached':>8}{'to do':>7}")
    for kind, count in counts.items():
        click.echo(f"{kind:<10}{count['total']:>7}{count['cached']:>8}{count['todo']:>7}")
    click.echo(f"{len(session.plan.cells)} cells, {len(session.work.jobs)} jobs to do")
    for what, why in session.plan.gaps.items():
        click.echo(f"no data for {what}: {why}")
    return 0
