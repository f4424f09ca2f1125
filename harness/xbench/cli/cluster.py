"""What commands say and do about jobs on other machines."""

import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xbench.errors import XbenchError
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.catalogue.catalogue import Catalogue
    from xbench.cli.session import Session
    from xbench.engine.cluster.launcher import ClusterLauncher
    from xbench.engine.launcher import WorkerSettings

SHOWN = 5  # jobs that are named one by one


def cluster_launcher(session: "Session", **given: Any) -> "ClusterLauncher | None":
    """The launcher that the spec names, as the engine uses it; None: this machine computes."""
    from xbench.engine.cluster.following import Chosen
    from xbench.engine.cluster.launcher import ClusterLauncher
    from xbench.spec.launchers import make_launcher

    choice = session.spec.launcher
    if choice is None:
        return None
    if not given["store"].is_folder:
        raise XbenchError(
            f"--launcher {choice.name} needs a store in a folder that its machines share; "
            f"{given['store']} is none. xbench store export moves results there afterwards."
        )
    plugin = make_launcher(choice, session.catalogue)
    return ClusterLauncher(**given, chosen=Chosen(choice.name, choice.settings, plugin))


@contextmanager
def jobs_that_go_on(session: "Session", run: str, store: Store) -> Iterator[None]:
    """Say what becomes of a scheduler's jobs where the command is interrupted."""
    from xbench.spec.launchers import make_launcher

    choice = session.spec.launcher
    try:
        yield
    except KeyboardInterrupt:
        if choice is not None and make_launcher(choice, session.catalogue).outlives:
            where = ["--run", run, "--store", str(store)]
            click.echo(
                f"\nThe jobs of {choice.name} go on without this command.\n"
                f"How far they are: {shlex.join(['xbench', 'status', *where])}\n"
                f"To end them: {shlex.join(['xbench', 'cancel', *where])}",
                err=True,
            )
        raise


def write_scripts(session: "Session", store: Store, settings: "WorkerSettings") -> int:
    """``--dry-run``: what the launcher would submit, as files."""
    from xbench.cli.missing import require_cells
    from xbench.engine.todo import stacked
    from xbench.store.runs import record_run

    require_cells(session.plan)
    given = {"plan": session.plan, "store": store, "settings": settings, "observer": None}
    launcher = cluster_launcher(session, **given)
    if launcher is None:
        raise XbenchError(
            "--dry-run writes a launcher's scripts; name one with --launcher (xbench list launchers)."
        )
    if not session.work.todo:
        click.echo("Everything is in the store; nothing to compute.", err=True)
        return 0
    store.prepare()
    work = stacked(session.work, session.plan, settings.stack, settings.jobs or 1)
    place, commands = launcher.write(work, record_run(session.plan, store))
    click.echo(f"Written, and not submitted: {place}")
    for line in commands:
        click.echo(line)
    return 0


def queue_lines(run: Path, catalogue: "Catalogue") -> list[str]:
    """What a run's scheduler has of its jobs, for a person; nothing where it has none."""
    from xbench.engine.cluster.queue import queue_of

    lines = []
    for queue in queue_of(run, catalogue):
        counts = Counter(job.state for job in queue.jobs)
        if not queue.answered:
            lines.append(f"{queue.launcher}: {queue.problem}")
            continue
        parts = [
            f"{counts[state]} {state}" for state in ("waiting", "running", "gone") if counts[state]
        ]
        if parts:
            lines.append(f"{queue.launcher}: jobs {', '.join(parts)}")
        gone = [job for job in queue.jobs if job.state == "gone"]
        for job in gone[:SHOWN]:
            output = f": {job.output}" if job.output else ", it never began"
            lines.append(f"  {job.name} left no word ({job.about}){output}")
        if len(gone) > SHOWN:
            lines.append(f"  and {len(gone) - SHOWN} more")
    return lines
