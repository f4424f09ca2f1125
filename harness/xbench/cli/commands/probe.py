"""``xbench probe``: measure any encoder, with no run around it."""

from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import COMPUTE, STORE, compute_options
from xbench.cli.output import write_data
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.report.run.stored import StoredRun
    from xbench.spec.request import RunSpec


@click.command("probe")
@click.argument("checkpoint", metavar="CHECKPOINT|DIR|HUB-ID")
@click.option("--probe", help="Probes, comma-separated (default: all that take no gradients).")
@click.option("--suite", default="paper", show_default=True, help="Whose parallel text is used.")
@click.option("--data", metavar="DIR", help="Folder with the suite's data (or XBENCH_DATA).")
@click.option("--language", help="Languages besides those of the suite's groups.")
@click.option("-O", "option", multiple=True, metavar="NAME=VALUE", help="As probing.sentences=500.")
@click.option("--device", default="auto", help="auto (default), cpu, cuda or cuda:N.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "json"]),
    default="text",
    show_default=True,
)
@STORE
@compute_options
def command(store: Store, form: str, **values: Any) -> int:
    """Probe an encoder: a folder in the Hugging Face format, a registry name, or a hub id.

    What is measured goes into the store like everything else; a checkpoint of a run is
    STORE/align/KEY/step-N.
    """
    from xbench.cli.commands.run import compute_cells
    from xbench.cli.session import open_session

    how = {name: values.pop(name) for name in COMPUTE}
    session = open_session(_spec(values), store, how["offline"])
    run = compute_cells(session, store, how)
    _print(run, form)
    if not run.is_complete:
        click.echo("\n".join(map(str, run.failures)), err=True)
        return 1
    return 0


def _spec(values: dict[str, Any]) -> "RunSpec":
    from xbench.spec.request import make_spec, parse_options

    asked = {
        "model": values["checkpoint"],
        "suite": values["suite"],
        "data": values["data"],
        "language": values["language"],
        "device": values["device"],
        "options": parse_options(values["option"]),
        "probe": values["probe"] or _default_probes(),
        "arm": ["none"],
        "task": [],
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return make_spec(given, "the command line")


def _default_probes() -> list[str]:
    from xbench.catalogue.discovery import discovery

    table = discovery.table
    names = table.names("probes")
    return [name for name in names if "gradients" not in table.get("probes", name).load().needs]


def _print(run: "StoredRun", form: str) -> None:
    columns = ["probe", "metric", "language", "layer", "value", "n", "reason"]
    shown = run.rows[[name for name in columns if name in run.rows]]
    if form in ("csv", "json"):
        from xbench.cli.commands.results import FORMATS

        write_data(str(FORMATS[form](shown)))
    else:
        from xbench.cli.options import show_tables
        from xbench.report.tables.probes.checkpoint import checkpoint_tables

        show_tables(checkpoint_tables(run.rows, run.background))
