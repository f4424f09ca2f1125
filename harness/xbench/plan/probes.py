"""The probe stages of a plan: which checkpoints are looked at, and through which text."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from xbench.api.source import MissingData
from xbench.catalogue.hub import NotHere
from xbench.catalogue.identity import component
from xbench.errors import XbenchError
from xbench.plan.arm import Arm
from xbench.plan.graph import Cell
from xbench.plan.kinds.pairs import AlignStage
from xbench.plan.kinds.probe import (
    BatchSettings,
    ProbePlaces,
    ProbeSettings,
    ProbeSpec,
    ProbeStage,
)
from xbench.plan.kinds.task import FinetuneStage, idle
from xbench.plan.planning import Planning
from xbench.plan.records import DataId, DataPlace, EncoderId

Heads = Callable[[Arm], Mapping[str, str]]
"""Task -> the fine-tuning that fits its head on an arm's encoder, frozen."""


@dataclass(frozen=True)
class _Checkpoint:
    """A checkpoint that a probe looks at: where it stands in the matrix, and the keys of its parts."""

    coordinates: Mapping[str, Any]
    encoder: EncoderId | None = None
    finetune: str | None = None
    head: str | None = None


class Probes:
    """Adds the cells of probes to a plan: after its other cells, whose fine-tunings they may read.

    Gradients of a task are those of a head that was fitted on the encoder, frozen: ``heads`` plans
    the fitting, whether or not the run evaluates it. They are measured for each task on its own.
    """

    def __init__(self, planning: Planning, heads: Heads) -> None:
        self._planning = planning
        self._plan = planning.plan
        self._heads = heads
        self._spec = planning.spec
        self._catalogue = planning.catalogue
        self._data = planning.data
        self._suite = planning.suite
        self._asked = planning.spec.probe
        self._settings = planning.spec.probing
        if self._asked:
            self._settings = planning.concrete(self._settings)

    def cells(self, arm: Arm) -> None:
        """Probe the arm's encoder, and its fine-tuned models, as far as that was asked for."""
        if arm.transform is not None:  # there is no checkpoint: it acts on what an encoder gives
            return
        for name, config in self._asked.items():
            for checkpoint in self._checkpoints(arm, name):
                self._plan.cells.append(self._cell(arm, name, config, checkpoint))

    def _needs(self, name: str) -> frozenset[str]:
        found: frozenset[str] = self._catalogue.load("probes", name).needs
        return found

    def _checkpoints(self, arm: Arm, name: str) -> Iterator[_Checkpoint]:
        """Each checkpoint of an arm that a probe looks at."""
        if "encoder" in self._spec.probe_at and arm.joint is None and arm.merge is None:
            heads = self._heads(arm) if "gradients" in self._needs(name) else {}
            for task, head in heads.items():
                yield _Checkpoint({"task": task}, arm.encoder, head=head)
            if not heads:
                yield _Checkpoint({}, arm.encoder)
        if "finetuned" in self._spec.probe_at:
            for coordinates, key in self._fine_tunings(arm):
                if coordinates["mode"] == "full":
                    yield _Checkpoint(coordinates, finetune=key)

    def _fine_tunings(self, arm: Arm) -> list[tuple[dict[str, Any], str]]:
        """(task, mode and seed; key) of the fine-tunings that start from an arm, each once."""
        names = ("task", "mode", "seed")
        found: dict[str, dict[str, Any]] = {}
        for cell in self._plan.cells:
            same = all(cell.coordinates.get(n) == v for n, v in arm.coordinates.items())
            if (
                same
                and not cell.probe
                and cell.finetune
                and cell.coordinates["arm"] == arm.coordinates["arm"]
            ):
                found.setdefault(cell.finetune, {n: cell.coordinates[n] for n in names})
        return [(coordinates, key) for key, coordinates in found.items()]

    def _cell(self, arm: Arm, name: str, config: Mapping[str, Any], at: _Checkpoint) -> Cell:
        needs = self._needs(name)
        gradients = "gradients" in needs
        dictionaries = self._dictionaries if "dictionary" in needs else (None, {})
        seen = self._seen
        settings = self._settings
        spec = ProbeSpec(
            encoder=at.encoder,
            head=at.head,
            finetune=at.finetune,
            probe=component(self._catalogue.discovery.table.get("probes", name), config),
            source=self._suite.source_language,
            texts=self._texts[0],
            groups=self._groups,
            settings=ProbeSettings(
                sentences=settings.sentences,
                entries=settings.entries,
                max_length=settings.max_length,
                batch_size=settings.batch_size,
                # gradients are in float32 whatever the run's precision: see EncoderGradients
                precision="fp32" if gradients else settings.precision,
                gradient_batches=settings.gradient_batches if gradients else None,
                gradient_batch_size=settings.gradient_batch_size if gradients else None,
            ),
            dictionaries=dictionaries[0],
            seen=tuple(data for data, _ in seen) or None,
        )
        words = [c for c in (at.coordinates.get("task"), at.coordinates.get("mode")) if c]
        places = ProbePlaces(
            **self._planning.machine,
            label=" ".join([name, "of", arm.label, *words]),
            texts=self._texts[1],
            missing=self._texts[2],
            depths=self._depths,
            trained_on=tuple(str(arm.coordinates.get("pair") or "").split("-")),
            dictionaries=dictionaries[1],
            seen=tuple(where for _, where in seen),
        )
        model = at.finetune or at.head
        parents = [] if at.finetune else list(arm.parents)
        parents += [model] if model else []
        if gradients:
            spec, places = self._with_gradients(arm, model, spec, places)
        place = {
            "suite": self._spec.suite,
            "model": self._planning.model_name,
            **arm.coordinates,
            **at.coordinates,
            "probe": name,
        }
        key = self._plan.add(ProbeStage(spec, places, tuple(dict.fromkeys(parents))))
        return Cell(place, finetune=model, align=arm.align, links=arm.links, probe=key)

    @cached_property
    def _depths(self) -> tuple[float, ...]:
        """What all probes together will ask for: states are computed once."""
        table = self._catalogue.discovery.table
        found: set[float] = set()
        for name, config in self._asked.items():
            loaded = table.get("probes", name).load()
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
            found |= set(loaded(loaded.Config(**values)).depths())
        return tuple(sorted(found))

    @cached_property
    def _groups(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """The suite's groups of pairs, as far as there is text of both languages."""
        there = {self._suite.source_language, *self._texts[0]}
        groups = {
            name: tuple(pair for pair in map(_codes, group.pairs) if set(pair) <= there)
            for name, group in self._suite.retrieval_groups.items()
        }
        return {name: pairs for name, pairs in groups.items() if pairs}

    @cached_property
    def _texts(self) -> tuple[dict[str, DataId], dict[str, DataPlace], dict[str, str]]:
        """language -> its parallel text with the source language: identity, place; what is missing."""
        binding, source = self._suite.retrieval, self._suite.source_language
        if binding is None:
            raise XbenchError(
                f"Probes look at encoders through parallel text, and the suite "
                f"{self._spec.suite!r} binds none (retrieval:)."
            )
        in_groups = [
            c for g in self._suite.retrieval_groups.values() for p in g.pairs for c in p.split("-")
        ]
        texts, places, missing = {}, {}, {}
        for code in dict.fromkeys([*self._spec.language, *in_groups]):
            if code == source:
                continue
            try:
                texts[code] = self._data.identity(binding, (source, code), binding.split)
                places[code] = self._data.where(binding, (source, code))
            except MissingData as error:
                missing[code] = self._plan.gaps[f"{binding.source}: {code}"] = str(error)
        if not texts:
            raise XbenchError(f"There is no parallel text to probe with: {missing}")
        return texts, places, missing

    @cached_property
    def _dictionaries(self) -> tuple[dict[str, DataId], dict[str, DataPlace]]:
        """pair, as ``deu-eng`` -> its dictionary, for each group's pairs and each with the source."""
        source = self._suite.source_language
        pairs = [pair for group in self._groups.values() for pair in group]
        pairs += [(code, source) for code in self._texts[0]]
        found, places = {}, {}
        for first, second in dict.fromkeys(pairs):
            both = self._data.dictionary(self._suite.dictionary, (first, second))
            if both is not None:
                found[f"{first}-{second}"], places[f"{first}-{second}"] = both
        return found, places

    @cached_property
    def _seen(self) -> list[tuple[DataId, DataPlace]]:
        """The training data of the fine-tuned models that are probed, each with its place.

        Its sentences are left out of what is measured, of the encoders before fine-tuning as well:
        retrieval among fewer sentences is easier, so before and after must be of the same ones.
        """
        if "finetuned" not in self._spec.probe_at or "full" not in self._spec.mode:
            return []
        source, found = self._suite.source_language, []
        for task in self._spec.task:
            if self._catalogue.load("tasks", task).level != "retrieval":
                binding = self._suite.tasks[task]
                data = self._data.identity(binding, (source,), "train")
                found.append((data, self._data.where(binding, (source,), task)))
        return found

    def _with_gradients(
        self, arm: Arm, model: str | None, spec: ProbeSpec, places: ProbePlaces
    ) -> tuple[ProbeSpec, ProbePlaces]:
        """What gradients are taken of: the task that was fitted on the encoder, the objective."""
        if model is not None:
            tuned = self._plan.stages[model]
            assert isinstance(tuned, FinetuneStage)
            task, settings = tuned.places.task, tuned.spec.settings
            pooled = "sentence_pooling" not in idle(
                settings, tuned.spec.mode, tuned.spec.task.level
            )
            items, where = self._items(task)
            spec = replace(
                spec,
                task=tuned.spec.task,
                pooling=settings.sentence_pooling if pooled else "mean",
                items=items,
            )
            places = replace(places, task=task, items=where)
        if arm.align is not None:
            aligned = self._plan.stages[arm.align]
            assert isinstance(aligned, AlignStage)
            first, second = aligned.places.text.corpus.languages
            own = {f.name: getattr(aligned.spec.settings, f.name) for f in fields(BatchSettings)}
            spec = replace(
                spec,
                objective=aligned.spec.objective,
                pair=(first, second),
                objective_settings=BatchSettings(**own),
            )
        return spec, places

    def _items(self, task: str) -> tuple[dict[str, DataId], dict[str, DataPlace]]:
        """language -> the task's labelled test data."""
        binding = self._suite.tasks[task]
        found, places = {}, {}
        for code in dict.fromkeys([self._suite.source_language, *self._spec.language]):
            try:
                found[code] = self._data.identity(binding, (code,), self._spec.evaluate.split)
                places[code] = self._data.where(binding, (code,))
            except (MissingData, NotHere):
                continue
        return found, places


def _codes(pair: str) -> tuple[str, str]:
    first, second = pair.split("-")
    return first, second
