"""``xbench store``: what a store holds, whether it is intact, and how to free space."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from xbench.cli.options import STORE
from xbench.store import MARKER, Store

WEIGHTS = "model.safetensors"


@click.command("store")
@STORE
@click.option("--verify", is_flag=True, help="Read everything and compare it with its digests.")
@click.option("--free", type=click.Choice(["cache", "aside", "weights"]), help="What to delete.")
@click.option("--yes", is_flag=True, help="Delete; without it, only say what would be.")
def command(store: Path, verify: bool, free: str | None, yes: bool) -> int:
    """Show what a store holds by kind; verify it; free space.

    Results, predictions and logs are never deleted. `cache` is tokenised text, made again when
    needed; `aside` are damaged artefacts; `weights` are those of alignments and fine-tunings, which
    a later run may have to train again.
    """
    from xbench.errors import XbenchError

    place = Store(store)
    if not (store / MARKER).is_file():
        raise XbenchError(f"{store} is no store: it has no {MARKER}. Name one with --store DIR.")
    place.check_format()
    if verify:
        return _verify(place)
    if free:
        return _free(place, free, yes)
    _show(store)
    return 0


def _show(store: Path) -> None:
    from xbench.cli.words import size

    click.echo(f"{'kind':<10}{'entries':>9}{'size':>12}")
    for folder in sorted(path for path in store.iterdir() if path.is_dir()):
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
        click.echo(f"{folder.name:<10}{len(entries):>9}{size(_bytes(folder)):>12}")


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _entries(store: Store) -> Iterator[tuple[str, str]]:
    from xbench.plan import KINDS

    for kind in KINDS:
        for path in sorted((store.root / kind).glob("[!.]*")):
            yield kind, path.name


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
        total = _bytes(folder) if folder.is_dir() else 0
        if yes:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"{size(total)} {'freed' if yes else 'would be freed; add --yes to delete'}")
    if kept:
        click.echo(f"{size(kept)} stay: a run with --keep all asked for them")
    return 0
