"""``xbench fetch``: bring everything that a run needs onto this machine."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import spec_from, spec_options
from xbench.errors import XbenchError

if TYPE_CHECKING:
    from xbench.catalogue.catalogue import Catalogue
    from xbench.catalogue.hub import Wanted
    from xbench.plan import Need
    from xbench.spec.request import ResolvedSpec


@click.command("fetch")
@spec_options
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched, and its size.")
def command(dry_run: bool, **values: Any) -> int:
    """Fetch the encoder and all data of a run from the hub, and say what it cost.

    Afterwards `xbench run ... --offline` needs no network. What is here already is not fetched
    again; an interrupted download goes on where it stopped.
    """
    from xbench.catalogue.catalogue import Catalogue
    from xbench.spec.resolve import resolve

    catalogue = Catalogue.installed()
    spec = resolve(spec_from(values), catalogue)
    missing = 0
    for what, wanted, required in _needs(spec, catalogue):
        missing += not _bring(what, wanted, dry_run) and required
    return 1 if missing else 0


def _needs(
    spec: "ResolvedSpec", catalogue: "Catalogue"
) -> "Iterator[tuple[str, Wanted | str, bool]]":
    """(what it is for; what to fetch from the hub, or where else it comes from; whether a run needs it).

    A run goes on without the test sets that its alignment text is cleared of, and says so.
    """
    from xbench.catalogue.models import model_files
    from xbench.plan import data_needs

    entry = catalogue.registry.models.get(spec.model)
    if entry is not None and entry.package is not None:
        yield f"model {spec.model}", "comes with the installation", True
    elif entry is None and Path(spec.model).is_dir():
        yield f"model {spec.model}", "is a folder on this machine", True
    else:
        from xbench.catalogue.registry import ModelEntry

        yield f"model {spec.model}", model_files(entry or ModelEntry(), spec.model), True
    for need in data_needs(spec, catalogue):
        name = need.binding.source
        source = catalogue.load("sources", name)
        found = _on_hub(need, catalogue)
        answer: Wanted | str
        if not source.needs_place:
            answer = "is generated: nothing to fetch"
        elif spec.data is not None:
            answer = f"is read from {spec.data}"
        elif found is None:
            dataset = catalogue.registry.datasets.get(name)
            home = dataset.homepage if dataset else ""
            answer = f"is not on the hub in a form that is read: --data DIR. {home}".strip()
        else:
            answer = found
        yield f"{', '.join(need.roles)} ({name})", answer, need.required
    if os.environ.get("XBENCH_DATA") and spec.data is None:
        click.echo(f"XBENCH_DATA is set: runs read data from {os.environ['XBENCH_DATA']}", err=True)


def _on_hub(need: "Need", catalogue: "Catalogue") -> "Wanted | None":
    """The files of a source: of each split those of the languages that it is read in."""
    from xbench.plan import hub_files

    wanted = None
    for split, codes in need.reads.items():
        languages = [catalogue.languages.get(code) for code in codes]
        found = hub_files(need.binding, languages, (split,), catalogue)
        if found is None:
            return None
        before = wanted.patterns if wanted else ()
        wanted = replace(found[0], patterns=tuple(dict.fromkeys([*before, *found[0].patterns])))
    return wanted


def _bring(what: str, wanted: "Wanted | str", dry_run: bool) -> bool:
    """Fetch one thing and say so; False where it could not be had."""
    from xbench.catalogue.hub import commit_of, complete, fetch, look_up
    from xbench.cli.words import duration, size

    if isinstance(wanted, str):
        click.echo(f"{what}: {wanted}")
        return "--data DIR" not in wanted
    there = complete(wanted)
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
