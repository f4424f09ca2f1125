"""``xbench doctor``: what this machine and installation offer, and what is wrong with them."""

import json
from dataclasses import asdict

import click

from xbench.cli.options import STORE
from xbench.store import Store

MARKS = {"good": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}


@click.command("doctor")
@STORE
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(store: Store, form: str) -> int:
    """Look at versions, device, cores, disk, store, hub, registry and plugins, with advice.

    The exit code is 1 where something that a run needs is broken.
    """
    from xbench.cli.doctor import examine

    findings = []
    for finding in examine(store):
        findings.append(finding)
        if form == "text":
            mark, colour = MARKS[finding.level]
            click.echo(f"{click.style(mark, fg=colour)}  {finding.topic:<9} {finding.text}")
            if finding.advice:
                click.echo(f"{'':<16}{finding.advice}")
    if form == "json":
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    return 1 if any(finding.level == "bad" for finding in findings) else 0
