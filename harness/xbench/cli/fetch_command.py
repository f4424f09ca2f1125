"""``xbench fetch``: bring everything that a run needs onto this machine."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import spec_from, spec_options
from xbench.errors import XbenchError

if TYPE_CHECKING:
    from xbench.context import Context
    from xbench.hub import Wanted
    from xbench.registry import Binding
    from xbench.spec import RunSpec


@click.command("fetch")
@spec_options
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched, and its size.")
def command(dry_run: bool, **values: Any) -> int:
    """Fetch the encoder and the data of a run from the hub, and say what it cost.

    Afterwards `xbench run ... --offline` needs no network. What is here already is not fetched
    again; an interrupted download goes on where it stopped.
    """
    from xbench.cli.session import context
    from xbench.resolve import resolve

    here = context()
    spec = resolve(spec_from(values), here)
    missing = 0
    for what, wanted in _needs(spec, here):
        missing += not _bring(what, wanted, dry_run)
    return 1 if missing else 0


def _needs(spec: "RunSpec", here: "Context") -> "Iterator[tuple[str, Wanted | str]]":
    """(what it is for, what to fetch from the hub, or a sentence on where else it comes from)."""
    from xbench.models import model_files
    from xbench.plan import hub_files

    entry = here.registry.models.get(str(spec.model))
    if entry is not None and entry.package is not None:
        yield f"model {spec.model}", "comes with the installation"
    elif entry is None and Path(str(spec.model)).is_dir():
        yield f"model {spec.model}", "is a folder on this machine"
    else:
        from xbench.registry import ModelEntry

        yield f"model {spec.model}", model_files(entry or ModelEntry(), str(spec.model))
    for what, binding, codes in _bindings(spec, here):
        source = here.discovery.table.get("sources", binding.source).load()
        languages = [here.languages.get(code) for code in codes]
        found = hub_files(binding, languages, ("train", "dev", "test"), here)
        if not source.needs_place:
            yield what, "is generated: nothing to fetch"
        elif spec.data is not None:
            yield what, f"is read from {spec.data}"
        elif found is None:
            dataset = here.registry.datasets.get(binding.source)
            home = dataset.homepage if dataset else ""
            yield what, f"is not on the hub in a form that is read: --data DIR. {home}".strip()
        else:
            yield what, found[0]


def _bindings(spec: "RunSpec", here: "Context") -> "Iterator[tuple[str, Binding, list[str]]]":
    import os

    suite = here.registry.suite(spec.suite)
    codes = list(dict.fromkeys([suite.source_language, *(spec.language or ())]))
    if spec.pair and {"aligned", "shuffled"} & set(spec.arm or ()):
        paired = dict.fromkeys(code for pair in spec.pair for code in pair.split("-"))
        yield f"parallel text ({suite.corpus.source})", suite.corpus, list(paired)
    for task in spec.task or ():
        binding = suite.tasks[task]
        yield f"task {task} ({binding.source})", binding, codes
    if os.environ.get("XBENCH_DATA") and spec.data is None:
        click.echo(f"XBENCH_DATA is set: runs read data from {os.environ['XBENCH_DATA']}", err=True)


def _bring(what: str, wanted: "Wanted | str", dry_run: bool) -> bool:
    """Fetch one thing and say so; False where it could not be had."""
    from xbench.cli.plan_command import duration, size
    from xbench.hub import cached, commit_of, fetch, look_up

    if isinstance(wanted, str):
        click.echo(f"{what}: {wanted}")
        return "--data DIR" not in wanted
    there = cached(wanted)
    if there is not None:
        click.echo(f"{what}: here already, {wanted.repository} at {commit_of(there)}, {there}")
        return True
    try:
        cost = look_up(wanted)
        files = f"{len(cost.files)} files, {size(cost.bytes)}"
        click.echo(f"{what}: {wanted.repository} at {cost.revision}: {files}")
        if dry_run:
            return True
        began = time.monotonic()
        folder = fetch(wanted)
    except XbenchError as error:
        click.echo(f"{what}: {error}", err=True)
        return False
    click.echo(f"  fetched in {duration(time.monotonic() - began)} to {folder}")
    return True
