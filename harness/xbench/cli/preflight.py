"""Read everything that a run is about to use, once, before any work: a damaged file is found now.

What was found sound is remembered in the store by content, and not read again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xbench.api.source import Source
from xbench.context import Context
from xbench.data.tokenizer import Tokenizer
from xbench.engine.work import Work
from xbench.errors import XbenchError
from xbench.files import dump_json, write_atomic
from xbench.keys import key_of
from xbench.nn.encoder_config import read_config
from xbench.plan import Plan, Stage, open_source
from xbench.registry import Binding
from xbench.store import Store


def check_inputs(plan: Plan, work: Work, context: Context, store: Store) -> None:
    """Raises :class:`XbenchError` (file, line, advice) for a damaged model, tokenizer or corpus."""
    todo = [plan.stages[key] for key in plan.stages if key in work.todo]
    try:
        for folder in {stage.recipe["model_folder"] for stage in todo}:
            read_config(Path(folder))
            Tokenizer.from_folder(Path(folder))
        for stage in todo:
            if "binding" in stage.recipe and stage.kind != "score":
                _check_data(stage, context, store)
    except ValueError as error:
        raise XbenchError(str(error)) from error


def _check_data(stage: Stage, context: Context, store: Store) -> None:
    place = stage.recipe["place"]
    binding = Binding.model_validate(stage.recipe["binding"])
    hub_files = stage.recipe.get("hub_files")
    source = open_source(binding, Path(place) if place else None, context, hub_files)
    if not source.needs_place:  # a generator has no files that could be damaged
        return
    data = stage.spec["corpus"] if "corpus" in stage.spec else stage.spec["data"]
    task = stage.recipe.get("task")
    marker = store.root / "cache" / "checked" / f"{key_of({'data': data, 'task': task})}.json"
    if marker.exists():
        return
    count = sum(1 for _ in _records(stage, source, data["split"], context))
    if count == 0:
        raise XbenchError(f"The {data['split']} data of {stage.recipe['label']} is empty.")
    marker.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(marker, dump_json({"records": count}))


def _records(stage: Stage, source: Source, split: str, context: Context) -> Iterator[Any]:
    languages = [context.languages.get(code) for code in stage.recipe["languages"]]
    if len(languages) == 2:  # parallel text
        yield from source.read(languages, split)
        return
    task = context.discovery.table.get("tasks", stage.recipe["task"]).load()()
    yield from task.examples(source, languages[0], split)
