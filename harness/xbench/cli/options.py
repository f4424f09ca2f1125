"""Options that several commands share, and how they become a spec."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xbench.spec.request import RunSpec, make_spec, parse_options, read_spec
from xbench.store import Store, open_store

if TYPE_CHECKING:
    from xbench.report.table import Table
    from xbench.spec.request import RunSpec

Command = TypeVar("Command", bound=Callable[..., Any])


class StorePlace(click.ParamType):  # type: ignore[type-arg]
    """A store, by its folder or address."""

    name = "PLACE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Store:
        """The store; nothing is looked at yet."""
        return value if isinstance(value, Store) else open_store(value)


class Jobs(click.ParamType):  # type: ignore[type-arg]
    """A number of workers, or ``auto``, which is the same as none given."""

    name = "N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """``auto`` -> None."""
        return None if value == "auto" else click.IntRange(1).convert(value, param, ctx)


SPEC_OPTIONS = [
    click.argument(
        "spec_file", metavar="[SPEC.yaml]", required=False, type=click.Path(path_type=Path)
    ),
    click.option("--suite", help="Bundle of encoder, data and settings: mini (default) or paper."),
    click.option("--model", help="Encoder: a registry name, a folder, or a hub id."),
    click.option("--data", metavar="DIR", help="Folder with the suite's data (or XBENCH_DATA)."),
    click.option("--objective", help="NAME[:VARIANT,...], comma-separated."),
    click.option("--task", help="Tasks, comma-separated."),
    click.option("--pair", help="Pairs to align, as de-en; 'all' for all of the suite."),
    click.option("--arm", help="Of: none, aligned, shuffled, or a control by name, as mlm."),
    click.option("--phase", help="When objectives act: before (default) or during fine-tuning."),
    click.option("--mode", help="Of: full, linear."),
    click.option("--seed", help="Fine-tuning seeds."),
    click.option("--align-seed", help="Alignment seeds, each a checkpoint of its own."),
    click.option("--align-step", help="Checkpoints of the alignment to go on from."),
    click.option("--probe", help="Probes of encoders, comma-separated."),
    click.option("--probe-at", help="Which encoders: encoder (default), finetuned."),
    click.option("--language", help="Languages to evaluate in."),
    click.option("--max-train", type=int, help="At most so many training items (a fixed sample)."),
    click.option(
        "--max-test", type=int, help="At most so many test items a language, a fixed sample."
    ),
    click.option("--epochs", type=int, help="Passes over the training data in phase II."),
    click.option("--max-steps", type=int, help="Updates in phase II, in place of epochs."),
    click.option(
        "--selection", help="Whose weights phase II keeps: last (default), or best on dev."
    ),
    click.option(
        "-O", "option", multiple=True, metavar="NAME=VALUE", help="A setting, as align.steps=150."
    ),
    click.option("--device", help="auto (default), cpu, cuda or cuda:N."),
    click.option(
        "--launcher", help="Who computes: local (default), or one of xbench list launchers."
    ),
]
# What says how to compute, and is no part of a spec.
COMPUTE = ("jobs", "ranks", "stack", "keep", "deterministic", "save_state", "offline")
COMPUTE_OPTIONS = [
    click.option(
        "--jobs",
        type=Jobs(),
        help="Worker processes, or a scheduler's jobs at a time (default, auto: one for each core or GPU).",
    ),
    click.option(
        "--ranks",
        type=click.IntRange(1),
        default=1,
        help="Processes, each on a GPU or core of its own, that share the batches of one alignment.",
    ),
    click.option(
        "--stack",
        type=click.IntRange(0),
        help="Full fine-tunings trained as one program (default: up to 16 on a GPU; 0, none, on a CPU).",
    ),
    click.option(
        "--keep",
        type=click.Choice(["none", "align", "all"]),
        default="align",
        show_default=True,
        help="Weights that stay: of alignments, of full fine-tunings too, or none.",
    ),
    click.option("--deterministic", is_flag=True, help="Bitwise repeatable on a GPU, and slower."),
    click.option(
        "--save-state",
        type=click.FloatRange(0),
        default=60.0,
        show_default=True,
        help="Seconds between saved training states.",
    ),
    click.option("--offline", is_flag=True, help="Never touch the network."),
]
REPORT = click.option(
    "--report/--no-report",
    default=True,
    help="Make tables and figures in the end (default), or leave it to xbench report.",
)
STORE = click.option(
    "--store",
    type=StorePlace(),
    default="xbench-store",
    show_default=True,
    envvar="XBENCH_STORE",
    help="Where all results are: a folder, or an address as s3://bucket/prefix.",
)


def compute_options(command: Command) -> Command:
    """Add all options that say how to compute."""
    for option in reversed(COMPUTE_OPTIONS):
        command = option(command)
    return command


def spec_options(command: Command) -> Command:
    """Add all options that make a spec."""
    for option in reversed(SPEC_OPTIONS):
        command = option(command)
    return command


def spec_from(values: dict[str, Any]) -> RunSpec:
    """The spec that a command line asks for: the file, if given, changed by the options."""
    path = values.pop("spec_file", None)
    options = parse_options(values.pop("option", ()))
    shorthand = {
        "finetune.max_train": values.pop("max_train", None),
        "evaluate.max_items": values.pop("max_test", None),
        "finetune.epochs": values.pop("epochs", None),
        "finetune.steps": values.pop("max_steps", None),
        "finetune.selection": values.pop("selection", None),
    }
    options |= {name: value for name, value in shorthand.items() if value is not None}
    given = {name: value for name, value in values.items() if value is not None}
    base = read_spec(path).model_dump(exclude_unset=True) if path else {}
    if "align.steps" in options and base.get("align_step") == (base.get("align", {}).get("steps"),):
        del base["align_step"]  # the spec meant the last step, and that is another one now
    before = {name: value for name, value in base.get("options", {}).items() if name not in options}
    base["options"] = before | options  # what comes later counts
    written = base.get("launcher")
    if isinstance(written, dict) and given.get("launcher") == written.get("name"):
        del given["launcher"]  # the same one: its settings stay
    return make_spec({**base, **given}, str(path) if path else "the command line")


def show_tables(tables: "Sequence[Table]") -> None:
    """Tables on the terminal."""
    from rich.console import Console

    from xbench.report.render.terminal import print_tables

    print_tables(tables, Console())
