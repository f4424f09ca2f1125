"""The probe stages of a plan: which checkpoints are looked at, and through which text."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from xbench.api.source import MissingData
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.hub import NotHere
from xbench.catalogue.identity import component
from xbench.errors import XbenchError
from xbench.plan.arms import Arm
from xbench.plan.data import Data
from xbench.plan.graph import Cell, Plan, Stage
from xbench.spec.device import resolve_precision

_OF_GRADIENTS = ("gradient_batches", "gradient_batch_size")
# What of an alignment's settings its objective's loss depends on: whose negatives, which text.
_OF_OBJECTIVE = ("batch_size", "accumulate", "max_length", "mlm_probability")

Heads = Callable[[Arm], Mapping[str, str]]
"""Task -> the fine-tuning that fits its head on an arm's encoder, frozen."""


class Probes:
    """Adds the cells of probes to a plan: after its other cells, whose fine-tunings they may read.

    Gradients of a task are those of a head that was fitted on the encoder, frozen: ``heads`` plans
    the fitting, whether or not the run evaluates it. They are measured for each task on its own.
    """

    def __init__(
        self,
        plan: Plan,
        catalogue: Catalogue,
        data: Data,
        recipe: Mapping[str, Any],
        heads: Heads,
        model_name: str,
    ) -> None:
        self._plan = plan
        self._heads = heads
        self._model_name = model_name
        self._spec = plan.spec
        self._catalogue = catalogue
        self._data = data
        self._recipe = recipe
        self._suite = catalogue.registry.suite(plan.spec.suite)
        assert isinstance(plan.spec.probe, dict)
        self._asked = plan.spec.probe
        self._settings = dict(plan.spec.probing)
        if self._asked:
            device = str(recipe["device"])
            self._settings["precision"] = resolve_precision(self._settings["precision"], device)

    def cells(self, arm: Arm) -> None:
        """Probe the arm's encoder, and its fine-tuned models, as far as that was asked for."""
        if arm.transform is not None:  # there is no checkpoint: it acts on what an encoder gives
            return
        for name, config in self._asked.items():
            for coordinates, checkpoint in self._checkpoints(arm, name):
                self._plan.cells.append(self._cell(arm, name, config, coordinates, checkpoint))

    def _needs(self, name: str) -> frozenset[str]:
        found: frozenset[str] = self._catalogue.load("probes", name).needs
        return found

    def _checkpoints(self, arm: Arm, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(coordinates, keyed part) of each checkpoint of an arm that a probe looks at."""
        found: list[tuple[dict[str, Any], dict[str, Any]]] = []
        if "encoder" in (self._spec.probe_at or ()) and arm.joint is None and arm.merge is None:
            heads = self._heads(arm) if "gradients" in self._needs(name) else {}
            found += [
                ({"task": task}, {"encoder": arm.encoder, "head": head})
                for task, head in heads.items()
            ] or [({}, {"encoder": arm.encoder})]
        if "finetuned" in (self._spec.probe_at or ()):
            found += [
                (coordinates, {"finetune": key})
                for coordinates, key in self._fine_tunings(arm)
                if coordinates["mode"] == "full"
            ]
        return found

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

    def _cell(
        self,
        arm: Arm,
        name: str,
        config: Mapping[str, Any],
        coordinates: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
    ) -> Cell:
        probe = self._catalogue.discovery.table.get("probes", name)
        needs = self._needs(name)
        spec = {
            **checkpoint,
            "probe": {**component(probe), "config": config},
            "source": self._suite.source_language,
            "texts": self._texts[0],
            "groups": self._groups,
            "settings": {k: v for k, v in self._settings.items() if k not in _OF_GRADIENTS},
        }
        words = [c for c in (coordinates.get("task"), coordinates.get("mode")) if c]
        recipe = {
            **self._recipe,
            "texts": self._texts[1],
            "missing": self._texts[2],
            "depths": self._depths,
            "label": " ".join([name, "of", arm.label, *words]),
            "trained_on": str(arm.coordinates.get("pair") or "").split("-"),
        }
        model = checkpoint.get("finetune") or checkpoint.get("head")
        parents = [] if "finetune" in checkpoint else list(arm.parents)
        parents += [model] if model else []
        if "dictionary" in needs:
            spec["dictionaries"], recipe["dictionaries"] = self._dictionaries
        if self._seen[0]:
            spec["seen"], recipe["seen"] = self._seen
        if "gradients" in needs:
            self._add_gradients(arm, model, spec, recipe)
        place = {
            "suite": self._spec.suite,
            "model": self._model_name,
            **arm.coordinates,
            **coordinates,
            "probe": name,
        }
        key = self._plan.add(Stage("probe", spec, recipe, tuple(dict.fromkeys(parents))))
        return Cell(place, finetune=model, align=arm.align, links=arm.links, probe=key)

    @cached_property
    def _depths(self) -> list[float]:
        """What all probes together will ask for: states are computed once."""
        table = self._catalogue.discovery.table
        found: set[float] = set()
        for name, config in self._asked.items():
            loaded = table.get("probes", name).load()
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
            found |= set(loaded(loaded.Config(**values)).depths())
        return sorted(found)

    @cached_property
    def _groups(self) -> dict[str, list[list[str]]]:
        """The suite's groups of pairs, as far as there is text of both languages."""
        there = {self._suite.source_language, *self._texts[0]}
        groups = {
            name: [pair.split("-") for pair in group.pairs if set(pair.split("-")) <= there]
            for name, group in self._suite.retrieval_groups.items()
        }
        return {name: pairs for name, pairs in groups.items() if pairs}

    @cached_property
    def _texts(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
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
        for code in dict.fromkeys([*(self._spec.language or ()), *in_groups]):
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
    def _dictionaries(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """pair, as ``deu-eng`` -> its dictionary, for each group's pairs and each with the source."""
        source = self._suite.source_language
        pairs = [tuple(pair) for group in self._groups.values() for pair in group]
        pairs += [(code, source) for code in self._texts[0]]
        found, places = {}, {}
        for first, second in dict.fromkeys(pairs):
            both = self._data.dictionary(self._suite.dictionary, (first, second))
            if both is not None:
                found[f"{first}-{second}"], places[f"{first}-{second}"] = both
        return found, places

    @cached_property
    def _seen(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The training data of the fine-tuned models that are probed: identities, places.

        Its sentences are left out of what is measured, of the encoders before fine-tuning as well:
        retrieval among fewer sentences is easier, so before and after must be of the same ones.
        """
        if "finetuned" not in (self._spec.probe_at or ()) or "full" not in (self._spec.mode or ()):
            return [], []
        source, identities, places = self._suite.source_language, [], []
        for task in self._spec.task or ():
            if self._catalogue.load("tasks", task).level != "retrieval":
                binding = self._suite.tasks[task]
                identities.append(self._data.identity(binding, (source,), "train"))
                places.append({**self._data.where(binding, (source,)), "task": task})
        return identities, places

    def _add_gradients(
        self,
        arm: Arm,
        model: str | None,
        spec: dict[str, Any],
        recipe: dict[str, Any],
    ) -> None:
        """What gradients are taken of: the task that was fitted on the encoder, the objective."""
        spec["settings"] |= {name: self._settings[name] for name in _OF_GRADIENTS}
        spec["settings"]["precision"] = "fp32"  # whatever the run's: see EncoderGradients
        if model is not None:
            tuned = self._plan.stages[model]
            recipe["task"] = tuned.recipe["task"]
            spec["task"] = tuned.spec["task"]
            spec["pooling"] = tuned.spec["settings"].get("sentence_pooling", "mean")
            spec["items"], recipe["items"] = self._items(recipe["task"])
        if arm.align is not None:
            aligned = self._plan.stages[arm.align]
            spec["objective"] = aligned.spec["objective"]
            spec["pair"] = aligned.recipe["languages"]
            settings = aligned.spec["settings"]
            spec["objective_settings"] = {name: settings[name] for name in _OF_OBJECTIVE}

    def _items(self, task: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """language -> the task's labelled test data."""
        binding = self._suite.tasks[task]
        found, places = {}, {}
        for code in dict.fromkeys([self._suite.source_language, *(self._spec.language or ())]):
            try:
                found[code] = self._data.identity(binding, (code,), self._spec.evaluate["split"])
                places[code] = self._data.where(binding, (code,))
            except (MissingData, NotHere):
                continue
        return found, places
