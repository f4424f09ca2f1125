"""The command line. Commands are imported when they are called: help and lists load no torch."""

import errno
import os
import signal
import sys
import threading
import traceback
from importlib import import_module

import click

from xbench import __version__
from xbench.api.launcher import LauncherError
from xbench.cli.output import tolerant_output
from xbench.errors import XbenchError

COMMANDS = {
    "run": "Compute the cells of a matrix and show the table.",
    "plan": "Show what a run would compute, and what is cached.",
    "fetch": "Bring the encoder and data of a run onto this machine.",
    "status": "Show how far the runs of a store are.",
    "results": "Print the tidy table of a run: a row per measured value.",
    "report": "Render what a run holds in Markdown, LaTeX, HTML and CSV.",
    "retry": "Try again what failed in a run.",
    "cancel": "End the jobs that a scheduler has of a run.",
    "store": "Show what a store holds, verify it, free space.",
    "probe": "Measure the representations of any encoder.",
    "list": "List plugins, suites or models.",
    "show": "Show one plugin: what it does, its settings, where it comes from.",
    "new": "Write a plugin of your own, as a distribution to install.",
    "check": "Check that plugins keep the contract of their kind.",
    "doctor": "Look at this machine and installation: what is wrong, what to do.",
}

NO_ROOM = (
    ". What was finished is kept. Free some room (xbench store shows what takes it), or name another "
    "place: --store DIR, --out DIR."
)


class LazyGroup(click.Group):
    """A group whose help needs no command's module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a day's work, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and take the command from it."""
        if cmd_name not in COMMANDS:
            return _added().get(cmd_name)
        command: click.Command = import_module(f"xbench.cli.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a name for a mistyped command."""
        from xbench.errors import UnknownName

        known = {**COMMANDS, **(_added() if args and args[0] not in COMMANDS else {})}
        if args and not args[0].startswith("-") and args[0] not in known:
            raise UnknownName("command", args[0], known)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from their one-line descriptions."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        added = {name: each.get_short_help_str() for name, each in _added().items()}
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(list(added.items()))


def _added() -> dict[str, click.Command]:
    """The commands that hooks add; a built-in one cannot be replaced."""
    from xbench.engine.hooks import ask

    found: dict[str, click.Command] = {}
    for commands in ask("xbench_commands", []):
        found |= {name: each for name, each in commands.items() if name not in COMMANDS}
    return found


def _switch_off(arguments: list[str]) -> list[str]:
    """Take ``-p no:NAME`` out, wherever it stands: those plugins are as if not installed.

    Workers inherit it through the environment.
    """
    kept: list[str] = []
    off: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            kept += [argument, *waiting]
        elif argument == "-p":
            value = next(waiting, "")
            if not value.startswith("no:") or value == "no:":
                raise XbenchError("-p switches plugins off: -p no:NAME.")
            off.append(value.removeprefix("no:"))
        else:
            kept.append(argument)
    if off:
        before = os.environ.get("XBENCH_DISABLE_PLUGINS", "")
        os.environ["XBENCH_DISABLE_PLUGINS"] = ",".join([*filter(None, [before]), *off])
    return kept


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xbench")
@click.option("-p", "off", metavar="no:NAME", help="Leave out a plugin or a distribution.")
def group(off: str | None) -> None:
    """Does this alignment objective make cross-lingual transfer better?

    \b
    xbench run --objective hictl --task pos      on the embedded suite, in two minutes
    xbench list objectives                       what there is
    xbench report --format latex --out paper     the table for the paper
    """


def main() -> None:
    """Entry point: a user's mistake is one message and exit code 2, never a traceback.

    SIGTERM, which a scheduler sends, ends a command like Ctrl-C, with the exit code 143. The exit
    code 1 is for cells that failed: a fault of xbench's own has 70.
    """
    with tolerant_output():
        code = _run()
    sys.exit(code if isinstance(code, int) else 0)


def _run() -> object:
    terminated = []

    def end(number: int, frame: object) -> None:
        terminated.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
    try:
        return group.main(_switch_off(sys.argv[1:]), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):  # click makes the one of the other
        click.echo("Interrupted. The same command goes on where this one stopped.", err=True)
        code = 143 if terminated else 130
    except (XbenchError, LauncherError) as error:
        click.echo(f"Error: {error}", err=True)
        code = 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        advice = NO_ROOM if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        click.echo(f"Error: {where}{error.strerror or error}{advice}", err=True)
        code = 2
    except Exception:
        traceback.print_exc()
        click.echo("This is a fault of xbench or of a plugin. What was finished is kept.", err=True)
        code = 70
    return code
