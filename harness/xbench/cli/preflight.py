"""Read everything that a run is about to use, once, before any work: a damaged file is found now.

What was found sound is remembered in the store by content, and not read again.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xbench.api.source import Source
from xbench.cli.model_check import check_model, load_foreign
from xbench.context import Context
from xbench.engine.work import Work
from xbench.errors import XbenchError
from xbench.files import dump_json, write_atomic
from xbench.keys import key_of
from xbench.plan import Plan, Stage, open_at
from xbench.store import Store

MODEL_CHECK = 1  # raised when more is looked at: models that were found sound are looked at again


def check_inputs(plan: Plan, work: Work, context: Context, store: Store) -> None:
    """Raises :class:`XbenchError` (file, line, advice) for a damaged model, tokenizer or corpus."""
    todo = [plan.stages[key] for key in plan.stages if key in work.todo]
    try:
        for folder, digest in {model_of(stage) for stage in todo}:
            marker = _marker(store, {"model": digest, "check": MODEL_CHECK})
            if not marker.exists():
                check_model(folder, store.root / "cache")
                load_foreign(folder)
                _remember(marker, {"model": digest})
        for stage in todo:
            for read in _reads(stage):
                _check(read, context, store)
    except ValueError as error:
        raise XbenchError(str(error)) from error


def check_models(plan: Plan, work: Work, store: Store) -> None:
    """Look at models alone, and remember nothing. Raises :class:`XbenchError`.

    A model that is not on this machine is not looked at.
    """
    todo = [plan.stages[key] for key in plan.stages if key in work.todo]
    try:
        for folder, digest in {model_of(stage) for stage in todo}:
            marker = _marker(store, {"model": digest, "check": MODEL_CHECK})
            if folder.is_dir() and not marker.exists():
                check_model(folder)
    except ValueError as error:
        raise XbenchError(str(error)) from error


def model_of(stage: Stage) -> tuple[Path, str]:
    """Where the encoder lies that a stage begins with, and the digest of its files."""
    return Path(stage.recipe["model_folder"]), stage.recipe["model_digest"]


class _Read(NamedTuple):
    """A part of the input of a stage: what identifies it, where it lies, the task that reads it."""

    data: Mapping[str, Any]
    where: Mapping[str, Any]
    task: str | None
    label: str


def _reads(stage: Stage) -> Iterator[_Read]:
    """All text that a stage reads, but the guard's: that is read with the corpus, or not at all."""
    spec, recipe = stage.spec, stage.recipe
    task, label = recipe.get("task"), recipe.get("label", "")
    data = spec.get("corpus", spec.get("data"))
    if "binding" in recipe and data is not None and stage.kind != "score":
        yield _Read(data, recipe, task, label)
    if "dictionary" in spec:
        yield _Read(spec["dictionary"], recipe["dictionary"], None, f"dictionary of {label}")
    if stage.kind == "fit":
        for code, text in spec["texts"].items():
            yield _Read(text, recipe["texts"][code], None, f"{label} in {code}")
    joint = spec.get("joint", {})
    if "corpus" in joint:
        yield _Read(joint["corpus"], recipe["joint"]["pairs"], None, label)
    if "translated" in joint:
        yield _Read(joint["translated"], recipe["joint"]["translated"], task, label)


def _check(read: _Read, context: Context, store: Store) -> None:
    source = open_at(read.where, context)
    if not source.needs_place:  # a generator has no files that could be damaged
        return
    marker = _marker(store, {"data": read.data, "task": read.task})
    if marker.exists():
        return
    split = read.data["split"]
    count = sum(1 for _ in _records(read, source, split, context))
    if count == 0:
        raise XbenchError(f"The {split} data of {read.label} is empty.")
    _remember(marker, {"records": count})


def _marker(store: Store, identity: Mapping[str, Any]) -> Path:
    return store.root / "cache" / "checked" / f"{key_of(identity)}.json"


def _remember(marker: Path, found: Mapping[str, Any]) -> None:
    marker.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(marker, dump_json(found))


def _records(read: _Read, source: Source, split: str, context: Context) -> Iterator[Any]:
    languages = [context.languages.get(code) for code in read.where["languages"]]
    if len(languages) == 2:  # parallel text
        yield from source.read(languages, split)
        return
    task = context.discovery.table.get("tasks", str(read.task)).load()()
    yield from task.examples(source, languages[0], split)
