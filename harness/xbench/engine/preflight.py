"""Read everything that a run is about to use, once, before any work: a damaged file is found now.

What was found sound is remembered in the store by content, and not read again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.api.examples import is_empty
from xbench.api.source import Source
from xbench.catalogue.catalogue import Catalogue
from xbench.engine.model_check import check_model, load_foreign
from xbench.engine.todo import Work
from xbench.errors import XbenchError
from xbench.files import dump_json, parse_json, write_atomic
from xbench.keys import key_of
from xbench.plan import Plan, Reading, Stage, open_at
from xbench.store import Store

# Raised when more is looked at: what was found sound is then looked at again.
MODEL_CHECK = 1
DATA_CHECK = 2


def check_inputs(plan: Plan, work: Work, catalogue: Catalogue, store: Store) -> list[str]:
    """What a person should know of the input: what is left out of it, what was taken off.

    Raises :class:`XbenchError` (file, line, advice) for a damaged model, tokenizer or corpus.
    """
    try:
        for folder, marker in _unknown_models(plan, work, store):
            check_model(folder, store.root / "cache")
            load_foreign(folder)
            _remember(marker, {"model": folder.name})
        return _check_data(_todo(plan, work), catalogue, store)
    except ValueError as error:
        raise XbenchError(str(error)) from error


def check_models(plan: Plan, work: Work, store: Store) -> None:
    """Look at models alone, and remember nothing. Raises :class:`XbenchError`.

    A model that is not on this machine is not looked at.
    """
    try:
        for folder, _ in _unknown_models(plan, work, store):
            if folder.is_dir():
                check_model(folder)
    except ValueError as error:
        raise XbenchError(str(error)) from error


def _todo(plan: Plan, work: Work) -> list[Stage]:
    return [plan.stages[key] for key in plan.stages if key in work.todo]


def _unknown_models(plan: Plan, work: Work, store: Store) -> Iterator[tuple[Path, Path]]:
    """The folders of models that were not looked at before, each with its marker in the store."""
    places = (stage.places for stage in _todo(plan, work))
    found = {(each.model_folder, each.model_digest) for each in places}
    for folder, digest in found:
        marker = _marker(store, {"model": digest, "check": MODEL_CHECK})
        if not marker.exists():
            yield Path(folder), marker


@dataclass(frozen=True)
class _Found:
    """What was read: how many records, what to say of them, and what tells their ids from others'."""

    records: int
    notes: tuple[str, ...] = ()
    ids: str = ""


def _check_data(todo: Iterable[Stage], catalogue: Catalogue, store: Store) -> list[str]:
    notes: dict[str, None] = {}
    parallel: dict[tuple[Any, ...], dict[str, tuple[Reading, str]]] = defaultdict(dict)
    every: dict[str, Reading] = {}  # thousands of stages read the same few files
    for read in (read for stage in todo for read in stage.reads()):
        every.setdefault(key_of({"data": read.data, "task": read.task}), read)
    for read in every.values():
        source = open_at(read.place, catalogue)
        found = _check(read, source, catalogue, store)
        notes |= dict.fromkeys(found.notes)
        if source.parallel and found.ids and len(read.place.languages) == 1:
            group = (
                read.task,
                read.data.split,
                key_of({"source": read.place.source, "options": read.place.options}),
            )
            parallel[group][read.place.languages[0]] = (read, found.ids)
    for reads in parallel.values():
        notes |= dict.fromkeys(_differences(reads, catalogue))
    return list(notes)


def _check(read: Reading, source: Source, catalogue: Catalogue, store: Store) -> _Found:
    if not source.needs_place:  # a generator has no files that could be damaged
        return _Found(0)
    marker = _marker(store, {"data": read.data, "task": read.task, "check": DATA_CHECK})
    if marker.exists():
        kept = parse_json(marker.read_text(encoding="utf-8"))
        return _Found(kept["records"], tuple(kept["notes"]), kept["ids"])
    found = _look(read, source, catalogue)
    if found.records == 0:
        raise XbenchError(f"The {read.data.split} data of {read.label} is empty.")
    _remember(marker, {"records": found.records, "notes": found.notes, "ids": found.ids})
    return found


def _look(read: Reading, source: Source, catalogue: Catalogue) -> _Found:
    """Read all of it. Raises ``ValueError`` where that fails."""
    split = read.data.split
    languages = [catalogue.languages.get(code) for code in read.place.languages]
    records = _records(read, source, catalogue)
    count = blank = 0
    ids = []
    for record in records:
        count += 1
        if len(languages) == 1:
            ids.append(record.id)
            blank += is_empty(record)
    skipped = getattr(records, "skipped", 0)
    notes = [f"{read.name}: {note}." for note in source.notes(languages, split)]
    if blank:
        notes.append(f"{read.name}: {blank} of {count} texts are blank, and are not trained on.")
    if skipped:
        what = "blank on one side" if "dictionary" not in read.label else "not two single words"
        notes.append(f"{read.name}: {skipped} lines are {what}, and are left out.")
    digest = key_of({"ids": sorted(ids)}) if source.parallel else ""
    return _Found(count - blank, tuple(notes), digest)


def _differences(reads: Mapping[str, tuple[Reading, str]], catalogue: Catalogue) -> Iterator[str]:
    """Where languages of a parallel data set do not have the same items."""
    if len({ids for _, ids in reads.values()}) < 2:
        return
    found = {}
    for code, (read, _) in reads.items():
        source = open_at(read.place, catalogue)
        found[code] = {record.id for record in _records(read, source, catalogue)}
    every = set.union(*found.values())
    read, _ = next(iter(reads.values()))
    lacking = [f"{code} {len(every - ids)}" for code, ids in found.items() if every - ids]
    yield (
        f"{read.task}, {read.data.split}: the data is parallel, and languages lack some of its "
        f"{len(every)} items: {', '.join(lacking)}. Each is scored on the items it has."
    )


def _records(read: Reading, source: Source, catalogue: Catalogue) -> Iterator[Any]:
    split = read.data.split
    languages = [catalogue.languages.get(code) for code in read.place.languages]
    if len(languages) == 2 or read.task is None:  # parallel text, or text that guards
        return source.read(languages, split)
    task = catalogue.load("tasks", str(read.task))()
    found: Iterator[Any] = task.examples(source, languages[0], split)
    return found


def _marker(store: Store, identity: Mapping[str, Any]) -> Path:
    return store.root / "cache" / "checked" / f"{key_of(identity)}.json"


def _remember(marker: Path, found: Mapping[str, Any]) -> None:
    marker.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(marker, dump_json(found))
