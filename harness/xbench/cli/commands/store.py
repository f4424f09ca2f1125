"""``xbench store``: what a store holds, whether it is intact, how to free space, and how to move it."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xbench.cli.options import STORE
from xbench.errors import XbenchError
from xbench.store import MARKER, WEIGHTS, Store

if TYPE_CHECKING:
    from xbench.store.transfer import Transfer

SHOWN = 5  # refused stages that are named one by one


@click.group("store", invoke_without_command=True)
@STORE
@click.option("--verify", is_flag=True, help="Read everything and compare it with its digests.")
@click.option("--free", type=click.Choice(["cache", "aside", "weights"]), help="What to delete.")
@click.option("--yes", is_flag=True, help="Delete; without it, only say what would be.")
@click.pass_context
def command(ctx: click.Context, store: Store, verify: bool, free: str | None, yes: bool) -> int:
    """Show what a store holds by kind; verify it; free space; move results to another store.

    Results, predictions and logs are never deleted by --free. `cache` is tokenised text, made again
    when needed; `aside` are damaged artefacts; `weights` are those of alignments and fine-tunings,
    which a later run may have to train again.
    """
    if ctx.invoked_subcommand:
        return 0
    place = _existing(store)
    if verify:
        return _verify(place)
    if free:
        return _free(place, free, yes)
    _show(store)
    return 0


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: all runs).")
@click.option(
    "--weights", is_flag=True, help="With the weights of encoders, as far as they are kept."
)
def export(file: Path, store: Store, run: str | None, weights: bool) -> int:
    """Write the results of runs into FILE, a tar, for `xbench store import` on another machine."""
    from xbench.cli.words import size
    from xbench.store.runs import PLAN, find_run
    from xbench.store.transfer import export_runs

    place = _existing(store)
    place.fetch_runs()
    every = sorted(path.parent for path in (place.root / "runs").glob(f"*/{PLAN}"))
    runs = [find_run(place, run)] if run or not every else every
    done = export_runs(place, runs, file, weights)
    took = size(file.stat().st_size)
    click.echo(f"{file}: {done.stages} stages of {done.runs} runs, {took}")
    return 0


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@STORE
def import_(file: Path, store: Store) -> int:
    """Put the results in FILE into the store. What is there already stays; damaged stages are refused."""
    from xbench.store.transfer import import_file

    store.prepare()
    done = import_file(store, file)
    click.echo(f"{done.stages} stages and {done.runs} runs are new, {done.known} stages were there")
    return _say_refused(done)


@command.command("gc")
@STORE
@click.option("--yes", is_flag=True, help="Delete; without it, only say what would be.")
def gc(store: Store, yes: bool) -> int:
    """Delete what nothing needs: leftovers of killed processes, stages that no run asks for.

    Without --yes nothing is deleted.
    """
    from xbench.cli.words import size
    from xbench.store.sweep import find_waste, remove

    place = _existing(store)
    if not place.is_folder:
        raise XbenchError(f"{place}: gc knows stores in folders only.")
    waste = find_waste(place)
    sizes: dict[str, list[int]] = defaultdict(list)
    for one in waste:
        sizes[one.why].append(one.size)
    for why, each in sizes.items():
        click.echo(f"{len(each):>6}  {size(sum(each)):>10}  {why}")
    if yes:
        click.echo(f"{size(remove(place, waste))} freed")
    else:
        total = sum(one.size for one in waste)
        click.echo(f"{size(total)} would be freed" + ("; add --yes to delete" if waste else ""))
    return 0


def _existing(store: Store) -> Store:
    """The same store. Raises where there is none."""
    if not store.exists():
        raise XbenchError(f"{store} is no store: it has no {MARKER}. Name one with --store DIR.")
    store.check_format()
    return store


def _show(store: Store) -> None:
    from xbench.cli.words import size
    from xbench.store.sweep import size_of

    if not store.is_folder:
        click.echo(f"{'kind':<10}{'entries':>9}")
        for kind, count in Counter(kind for kind, _ in _entries(store)).items():
            click.echo(f"{kind:<10}{count:>9}")
        click.echo(f"Of this, {store.root} holds {size(size_of(store.root))}.")
        return
    click.echo(f"{'kind':<10}{'entries':>9}{'size':>12}")
    for folder in sorted(path for path in store.root.iterdir() if path.is_dir()):
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
        click.echo(f"{folder.name:<10}{len(entries):>9}{size(size_of(folder)):>12}")


def _entries(store: Store) -> Iterator[tuple[str, str]]:
    from xbench.plan import KINDS

    for kind in KINDS:
        for key in store.entries(kind):
            yield kind, key


def _verify(store: Store) -> int:
    count, damaged = 0, []
    for kind, key in _entries(store):
        count += 1
        if store.state(kind, key) == "done" and not store.verify(kind, key):
            damaged.append(f"{kind} {key[:12]}")
    click.echo(f"{count} stages read, {len(damaged)} damaged")
    for what in damaged:
        click.echo(f"  {what}: set aside; the next run that needs it computes it again")
    return 1 if damaged else 0


def _free(store: Store, what: str, yes: bool) -> int:
    from xbench.cli.words import size
    from xbench.store.sweep import size_of

    total = kept = 0
    if what == "weights":
        for kind, key in _entries(store):
            for name, held in store.status(kind, key).get("files", {}).items():
                if not name.endswith(WEIGHTS):
                    continue
                if store.is_kept(kind, key):
                    kept += int(held["bytes"])
                    continue
                total += store.free(kind, key, name) if yes else int(held["bytes"])
    else:
        folder = store.root / what
        total = size_of(folder) if folder.is_dir() else 0
        if yes:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"{size(total)} {'freed' if yes else 'would be freed; add --yes to delete'}")
    if kept:
        click.echo(f"{size(kept)} stay: a run with --keep all asked for them")
    return 0


def _say_refused(done: "Transfer") -> int:
    for what, why in [*done.refused.items()][:SHOWN]:
        click.echo(f"  refused {what[:80]!r}: {why}", err=True)
    if len(done.refused) > SHOWN:
        click.echo(f"  and {len(done.refused) - SHOWN} more", err=True)
    return 1 if done.refused else 0
