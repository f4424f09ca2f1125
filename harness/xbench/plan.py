"""A resolved spec -> a graph of keyed stages, and the cells of the matrix that they fill.

Planning reads digests of data and model, never trains, and never writes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from xbench.api.language import Language
from xbench.api.source import MissingData, Source
from xbench.device import resolve_device, resolve_precision
from xbench.discovery import PluginError
from xbench.errors import XbenchError
from xbench.hub import NotHere, Wanted, commit_of, fetch, patterns_of
from xbench.identity import component
from xbench.keys import canonical, key_of
from xbench.models import Model, find_model
from xbench.registry import Binding
from xbench.resolve import Context
from xbench.spec import RunSpec

KINDS = ("align", "finetune", "evaluate", "score")
# Bumped when the engine's own numbers change for that kind of stage.
SCHEMA = {"align": 1, "finetune": 1, "evaluate": 1, "score": 1}


@dataclass(frozen=True)
class Stage:
    """One pure computation. ``spec`` is keyed; ``recipe`` says where things lie and is not."""

    kind: str
    spec: Mapping[str, Any]
    recipe: Mapping[str, Any]
    parents: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """sha256 over kind, schema and everything that determines the result."""
        return key_of({"kind": self.kind, "schema": SCHEMA[self.kind], **self.spec})


@dataclass(frozen=True)
class Cell:
    """One point of the matrix: its coordinates, and the stage whose scores fill it."""

    coordinates: Mapping[str, Any]
    score: str | None = None
    evaluate: str | None = None
    finetune: str | None = None
    align: str | None = None
    unavailable: str = ""


@dataclass
class Plan:
    """The stages by key (parents before children), the cells, and what has no data.

    ``resolved`` are the commits of what came from the hub; ``unresolved`` is what a tentative plan
    could not look at; ``unguarded`` are the guarded test sets that are not here, and so guard
    nothing.
    """

    spec: RunSpec
    stages: dict[str, Stage] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)
    unresolved: list[str] = field(default_factory=list)
    resolved: dict[str, str] = field(default_factory=dict)
    unguarded: dict[str, str] = field(default_factory=dict)

    def add(self, stage: Stage) -> str:
        """Add a stage once; returns its key."""
        key = stage.key
        self.stages.setdefault(key, stage)
        return key

    def of_kind(self, kind: str) -> list[str]:
        """Keys of one kind of stage, in planning order."""
        return [key for key, stage in self.stages.items() if stage.kind == kind]


@dataclass(frozen=True)
class Arm:
    """An encoder to be evaluated: untouched (no ``align``), or a checkpoint of an alignment."""

    coordinates: Mapping[str, Any]
    encoder: Mapping[str, Any]
    align: str | None = None


def build_plan(
    spec: RunSpec, context: Context, offline: bool = False, tentative: bool = False
) -> Plan:
    """The graph of a resolved spec. Raises :class:`XbenchError` on missing model, pair or training data.

    A ``tentative`` plan is for counting: what is not on this machine has a name in place of an
    identity, and ``plan.unresolved`` says what that is. It cannot be run.
    """
    return _Planner(spec, context, offline, tentative).build()


class _Planner:
    def __init__(
        self, spec: RunSpec, context: Context, offline: bool, tentative: bool = False
    ) -> None:
        self.spec = spec
        self.context = context
        self.suite = context.registry.suite(spec.suite)
        assert spec.model is not None
        self.plan = Plan(spec)
        self.tentative = tentative
        self.offline = offline or tentative
        self.fetched: dict[str, tuple[str, str]] = {}
        self.model = self._model(spec.model)
        if self.model.revision:
            self.plan.resolved[self.model.name] = self.model.revision
        data = spec.data or os.environ.get("XBENCH_DATA")
        self.place = Path(data).expanduser().resolve() if data else None
        if self.place is not None and not self.place.is_dir():
            raise XbenchError(f"The data folder {data} does not exist.")
        self.model_digest = key_of(self.model.identity)
        self.device = resolve_device(spec.device)
        # The same few files and plugins stand behind thousands of stages.
        self.component = lru_cache(maxsize=None)(self._component)
        self.task = lru_cache(maxsize=None)(self._task)
        self.metrics = lru_cache(maxsize=None)(self._metrics)
        self.data = lru_cache(maxsize=None)(self._data)
        self.guard = lru_cache(maxsize=None)(self._guard)

    def _model(self, name: str) -> Model:
        try:
            # A count is no reason to fetch a gigabyte.
            return find_model(name, self.context.registry, self.offline)
        except NotHere as error:
            if not self.tentative:
                raise
            self.plan.unresolved.append(f"the model {name}: {error}")
            return Model(name, Path(name), {"unresolved": name})

    def build(self) -> Plan:
        for arm in self._arms():
            for task in self.spec.task or ():
                self._task_cells(arm, task)
        return self.plan

    def _arms(self) -> Iterator[Arm]:
        spec = self.spec
        wanted = spec.arm or ()
        if "none" in wanted:
            yield Arm({"arm": "none"}, {"base": self.model.identity})
        assert isinstance(spec.objective, dict)
        for pair in spec.pair or ():
            for align_seed in spec.align_seed or ():
                for name, variants in spec.objective.items():
                    if "aligned" in wanted:
                        for variant in variants:
                            yield from self._aligned("aligned", name, variant, pair, align_seed)
                    if "shuffled" in wanted:
                        limit = 1 if spec.shuffled_variants == "first" else None
                        for variant in list(variants)[:limit]:
                            yield from self._aligned("shuffled", name, variant, pair, align_seed)

    def _aligned(self, arm: str, name: str, variant: str, pair: str, seed: int) -> Iterator[Arm]:
        assert isinstance(self.spec.objective, dict)
        settings = self._keyed({k: v for k, v in self.spec.align.items() if k != "checkpoints"})
        guard = self.guard(pair) if settings.pop("exclude_overlap") else ()
        stage_spec = {
            "model": self.model.identity,
            "objective": {
                **self.component("objectives", name),
                "config": self.spec.objective[name][variant],
            },
            "arm": arm,
            "corpus": self._corpus(pair),
            "settings": settings,
            "seed": seed,
        }
        if guard:
            stage_spec["guard"] = [data for data, _ in guard]
        recipe = self._recipe(
            self.suite.corpus,
            languages=pair.split("-"),
            checkpoints=list(self.spec.align["checkpoints"]),
            guard=[where for _, where in guard],
            label=f"{name}:{variant} {pair}" + (" shuffled" if arm == "shuffled" else ""),
        )
        key = self.plan.add(Stage("align", stage_spec, recipe))
        for step in self.spec.align_step or ():
            coordinates = {
                "objective": name,
                "variant": variant,
                "arm": arm,
                "pair": pair,
                "align_step": step,
                "align_seed": seed,
            }
            yield Arm(coordinates, {"align": key, "step": step}, key)

    def _guard(self, pair: str) -> tuple[tuple[dict[str, Any], dict[str, Any]], ...]:
        """(identity, where it lies) of every guarded test set that is here, in the pair's languages.

        One that is not here guards nothing, and the plan says so.
        """
        found = []
        for binding in self.suite.guard:
            source = self.context.discovery.table.get("sources", binding.source).load()
            codes = pair.split("-")
            reads = [tuple(codes)] if source.languages_per_read == 2 else [(c,) for c in codes]
            for languages in reads:
                try:
                    data = self._data_of(binding, languages, "test")
                except (MissingData, NotHere) as error:
                    self.plan.unguarded[f"{binding.source}: {'-'.join(languages)}"] = str(error)
                    continue
                where = {"languages": list(languages), **self._recipe(binding)}
                found.append(
                    (data, {k: where[k] for k in ("languages", "binding", "place", "hub_files")})
                )
        return tuple(found)

    def _corpus(self, pair: str) -> dict[str, Any]:
        try:
            return self.data("corpus", tuple(pair.split("-")), "train")
        except MissingData as error:
            raise XbenchError(f"No parallel text for the pair {pair}: {error}") from error

    def _task_cells(self, arm: Arm, task: str) -> None:
        try:
            train = self.data(task, (self.suite.source_language,), "train")
        except MissingData as error:
            raise XbenchError(f"No training data for task {task!r}: {error}") from error
        for mode in self.spec.mode or ():
            for seed in self.spec.seed or ():
                finetune = self._finetune(arm, task, mode, seed, train)
                for code in self.spec.language or ():
                    coordinates = {
                        "suite": self.spec.suite,
                        "model": self.model.name,
                        **arm.coordinates,
                        "task": task,
                        "mode": mode,
                        "seed": seed,
                        "language": code,
                        "split": self.spec.evaluate["split"],
                    }
                    self.plan.cells.append(self._cell(coordinates, arm, task, finetune))

    def _finetune(self, arm: Arm, task: str, mode: str, seed: int, train: Mapping[str, Any]) -> str:
        settings = self._keyed(self.spec.finetune[task][mode])
        for idle in _idle(settings, mode, self.task(task)["level"]):
            del settings[idle]
        stage_spec = {
            "encoder": arm.encoder,
            "task": self.task(task),
            "data": train,
            "mode": mode,
            "settings": settings,
            "seed": seed,
        }
        if "selection" in settings:
            stage_spec["selected_on"] = self._selected_on(task)
        recipe = self._recipe(
            self.suite.tasks[task],
            task=task,
            languages=[self.suite.source_language],
            label=f"{task} {mode} seed {seed} on {_label(arm)}",
        )
        return self.plan.add(
            Stage("finetune", stage_spec, recipe, (arm.align,) if arm.align else ())
        )

    def _selected_on(self, task: str) -> dict[str, Any]:
        """What a model is selected by: dev data of the source language, and the first metric."""
        try:
            data = self.data(task, (self.suite.source_language,), "dev")
        except MissingData as error:
            raise XbenchError(
                f"No development data to select models of task {task!r} by: {error}. "
                f"Keep the last step's instead: --selection last."
            ) from error
        return {"data": data, "metric": self.metrics(task)[0]}

    def _cell(self, coordinates: Mapping[str, Any], arm: Arm, task: str, finetune: str) -> Cell:
        code = coordinates["language"]
        binding = self.suite.tasks[task]
        try:
            data = self.data(task, (code,), self.spec.evaluate["split"])
        except MissingData as error:
            self.plan.gaps[f"{task}: {code}"] = str(error)
            return Cell(coordinates, finetune=finetune, align=arm.align, unavailable=str(error))
        recipe = self._recipe(binding, task=task, languages=[code], label=f"{task} {code}")
        evaluate = self.plan.add(
            Stage(
                "evaluate",
                {
                    "finetune": finetune,
                    "language": code,
                    "data": data,
                    "settings": self.spec.evaluate,
                },
                recipe,
                (finetune,),
            )
        )
        scores = {"evaluate": evaluate, "metrics": self.metrics(task)}
        score = self.plan.add(Stage("score", scores, recipe, (evaluate,)))
        return Cell(coordinates, score, evaluate, finetune, arm.align)

    def _task(self, task: str) -> dict[str, Any]:
        task_class = self.context.discovery.table.get("tasks", task).load()
        return {
            **self.component("tasks", task),
            "level": task_class.level,
            "labels": list(task_class.labels),
        }

    def _metrics(self, task: str) -> list[dict[str, Any]]:
        task_class = self.context.discovery.table.get("tasks", task).load()
        return [self.component("metrics", metric) for metric in task_class.metrics]

    def _component(self, kind: str, name: str) -> dict[str, Any]:
        return component(self.context.discovery.table.get(kind, name))

    def _keyed(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        precision = resolve_precision(settings["precision"], self.device)
        return {**settings, "precision": precision}

    def _data(self, what: str, codes: tuple[str, ...], split: str) -> dict[str, Any]:
        binding = self.suite.corpus if what == "corpus" else self.suite.tasks[what]
        return self._data_of(binding, codes, split)

    def _data_of(self, binding: Binding, codes: tuple[str, ...], split: str) -> dict[str, Any]:
        languages = [self.context.languages.get(code) for code in codes]
        try:
            source = self._open(binding, languages, split)
        except NotHere as error:
            if not self.tentative:
                raise
            return self._unresolved_data(binding, languages, split, error)
        try:
            content = dict(source.fingerprint(languages, split))
            canonical(content)
        except ValueError as error:  # a damaged file: the message says which
            raise XbenchError(str(error)) from error
        except TypeError as error:
            raise PluginError(
                f"The fingerprint of source {binding.source!r} cannot be part of a key: {error}"
            ) from error
        return {
            "source": self.component("sources", binding.source),
            "options": binding.options,
            "split": split,
            "content": content,
        }

    def _open(self, binding: Binding, languages: list[Language], split: str) -> Source:
        """The bound source: on the data folder, or on what was fetched from the hub."""
        found = hub_files(binding, languages, (split,), self.context)
        if self.place is not None or found is None:
            return open_source(binding, self.place, self.context)
        folder = fetch(found[0], self.offline)
        commit = commit_of(folder)
        if commit:
            self.plan.resolved[found[0].repository] = commit
        self.fetched[canonical(binding.model_dump(mode="json"))] = (str(folder), found[1])
        return open_source(binding, folder, self.context, found[1])

    def _unresolved_data(
        self, binding: Binding, languages: list[Language], split: str, error: NotHere
    ) -> dict[str, Any]:
        """Stands for data that is not here; what the registry knows to be missing is missing."""
        what = f"the data of source {binding.source}:"
        if not any(known.startswith(what) for known in self.plan.unresolved):
            self.plan.unresolved.append(f"{what} {error}")
        known = binding.source in self.context.registry.datasets
        lacking = [one.code for one in languages if binding.source not in one.resources]
        if known and lacking:
            raise MissingData(f"{binding.source} has no data for {', '.join(lacking)}")
        codes = [one.code for one in languages]
        return {"unresolved": binding.source, "languages": codes, "split": split}

    def _recipe(self, binding: Binding, **extra: Any) -> dict[str, Any]:
        fetched = self.fetched.get(canonical(binding.model_dump(mode="json")))
        place = fetched[0] if fetched else str(self.place) if self.place else None
        return {
            "model_folder": str(self.model.folder),
            "model_digest": self.model_digest,
            "device": self.device,
            "place": place,
            "hub_files": fetched[1] if fetched else None,
            "binding": binding.model_dump(mode="json"),
            **extra,
        }


def open_source(
    binding: Binding, place: Path | None, context: Context, hub_files: str | None = None
) -> Source:
    """The source that a suite binds, at the data folder; raises where it needs one and has none.

    ``hub_files`` says how files are named where the folder was fetched from the hub.
    """
    source_class = context.discovery.table.get("sources", binding.source).load()
    if source_class.needs_place and place is None:
        entry = context.registry.datasets.get(binding.source)
        where = f" The data set's home: {entry.homepage}." if entry and entry.homepage else ""
        raise NotHere(
            f"The data of source {binding.source!r} is not here. Pass a folder that holds it: "
            f"--data DIR (or XBENCH_DATA); docs/data.md says how it lies there.{where}"
        )
    try:
        source: Source = source_class(place, **binding.options)
    except (TypeError, ValueError) as error:
        raise XbenchError(f"The options of source {binding.source!r}: {error}") from error
    source.hub_files = hub_files
    return source


def hub_files(
    binding: Binding, languages: Sequence[Language], splits: Sequence[str], context: Context
) -> tuple[Wanted, str] | None:
    """(what to fetch for these languages, the template of file names); None where the hub has none.

    A source reads from the hub what the registry's data set of its name says is there.
    """
    entry = context.registry.datasets.get(binding.source)
    source_class = context.discovery.table.get("sources", binding.source).load()
    if entry is None or entry.hub_id is None or not entry.files or not source_class.reads_hub:
        return None
    ids = [one.resources[binding.source] for one in languages if binding.source in one.resources]
    names = [source_class.hub_splits.get(split, split) for split in splits]
    patterns = patterns_of(entry.files, ids, names)
    return Wanted(entry.hub_id, "dataset", patterns, entry.revision, entry.branch), entry.files


def _idle(settings: Mapping[str, Any], mode: str, level: str) -> Iterator[str]:
    """Settings of a fine-tuning that play no part in it: they are in no key."""
    if mode == "linear":  # a frozen encoder has no learning rate
        yield "encoder_learning_rate"
    if level == "token":  # every word is classified, no text is pooled
        yield "sentence_pooling"
    if settings["steps"] is not None:  # steps win over epochs
        yield "epochs"
    if settings["selection"] == "last":  # nothing is scored on the way
        yield "selection"
        yield "selection_every"


def _label(arm: Arm) -> str:
    c = arm.coordinates
    if c["arm"] == "none":
        return "the untouched encoder"
    return f"{c['objective']}:{c['variant']} {c['pair']}" + (
        " shuffled" if c["arm"] == "shuffled" else ""
    )
