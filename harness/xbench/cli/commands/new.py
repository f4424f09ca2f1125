"""``xbench new``: a plugin of one's own, ready to install."""

from pathlib import Path

import click


@click.command("new")
@click.argument("kind")
@click.argument("name")
@click.option(
    "--dir",
    "place",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the folder goes (default: here).",
)
def command(kind: str, name: str, place: Path) -> int:
    """Write a new plugin, as a distribution to install: one module, its test, pyproject.toml.

    KIND is objective, transform, merge, aligner, task, metric, probe, claim, source or language. What
    is written works as it is and keeps the contract of its kind; the module is there to be changed.
    Nothing is overwritten.
    """
    from xbench.cli.scaffold import commands, write_distribution

    folder = write_distribution(kind, name, place)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            click.echo(path)
    click.echo("\n".join([f"\nNow, in {folder}:", *(f"  {line}" for line in commands(kind, name))]))
    return 0
