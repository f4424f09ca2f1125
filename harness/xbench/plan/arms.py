"""The encoders that a run compares: untouched, aligned, with wrong pairs, transformed, merged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from xbench.api.source import MissingData
from xbench.catalogue.configs import configured
from xbench.catalogue.hub import NotHere
from xbench.catalogue.identity import Component, component
from xbench.catalogue.settings import AlignSettings
from xbench.errors import XbenchError
from xbench.plan.arm import Arm
from xbench.plan.data import written
from xbench.plan.kinds.pairs import (
    AlignPlaces,
    AlignSpec,
    AlignStage,
    LinkSettings,
    LinksPlaces,
    LinksSpec,
    LinksStage,
    PairPlace,
    PairText,
)
from xbench.plan.kinds.task import JointSpec, PairSettings
from xbench.plan.planning import Planning
from xbench.plan.records import DataId, DataPlace, EncoderId, ModelId
from xbench.spec.methods import Method, find_method


class Arms:
    """Makes the arms of a plan, and the stages of phase I behind them."""

    def __init__(self, planning: Planning, model: ModelId, settings: AlignSettings) -> None:
        self._plan = planning.plan
        self._spec = planning.spec
        self._catalogue = planning.catalogue
        self._data = planning.data
        self._model = model
        self._untouched = EncoderId(base=model)
        self._machine = planning.machine
        self._suite = planning.suite
        self._settings = settings
        self._guards: dict[str, tuple[tuple[DataId, DataPlace], ...]] = {}

    def all(self) -> Iterator[Arm]:
        """Every arm that was asked for, the untouched encoder first."""
        wanted = self._spec.arm
        if "none" in wanted:
            yield Arm({"arm": "none"}, self._untouched)
        for name, variants in self._spec.objective.items():
            method = find_method(name, self._catalogue)
            for number, (variant, config) in enumerate(variants.items()):
                first_only = self._spec.shuffled_variants == "first"
                for arm in ("aligned", "shuffled"):
                    if arm in wanted and not (arm == "shuffled" and number and first_only):
                        yield from self._of(method, variant, config, arm)

    def _of(
        self, method: Method, variant: str, config: Mapping[str, Any], arm: str
    ) -> Iterator[Arm]:
        if arm == "shuffled" and not method.uses_pairs:  # there is nothing to shuffle
            return
        identity = method.identity(config, self._catalogue.discovery)
        names = {"objective": method.name, "variant": variant, "arm": arm}
        if method.kind == "transform":
            yield Arm(names, self._untouched, transform=identity)
        elif method.kind == "merge":
            yield Arm(names, self._untouched, merge=identity)
        else:
            for pair in self._spec.pair if method.uses_pairs else (None,):
                for phase in self._phases(method):
                    make = self._before if phase == "before" else self._during
                    yield from make(method, identity, {**names, "pair": pair})

    def _phases(self, method: Method) -> Sequence[str]:
        wanted = [phase for phase in self._spec.phase if phase in method.phases]
        return wanted or method.phases[:1]

    def _before(
        self, method: Method, identity: Component, names: Mapping[str, Any]
    ) -> Iterator[Arm]:
        """Phase I: an alignment for each seed, an arm for each of its checkpoints."""
        if names["pair"] is None:
            raise XbenchError(f"{method.name} reads no pairs: it cannot act before fine-tuning.")
        text, place = self._text(method, names)
        parents = (text.links,) if text.links else ()
        for seed in self._spec.align_seed:
            spec = AlignSpec(
                arm=text.arm,
                corpus=text.corpus,
                guard=text.guard,
                links=text.links,
                model=self._model,
                objective=identity,
                settings=self._settings,
                seed=seed,
            )
            places = AlignPlaces(
                **self._machine,
                label=Arm({**names, "align_seed": seed}, self._untouched).label,
                text=place,
                checkpoints=self._settings.checkpoints,
            )
            key = self._plan.add(AlignStage(spec, places, parents))
            for step in self._spec.align_step:
                coordinates = {**names, "align_step": step, "align_seed": seed}
                yield Arm(coordinates, EncoderId(align=key, step=step), key, text.links)

    def _during(
        self, method: Method, identity: Component, names: Mapping[str, Any]
    ) -> Iterator[Arm]:
        """Phase II: the objective is a second loss beside the task's."""
        coordinates = {**names, "variant": f"{names['variant']}@during"}
        joint = JointSpec(objective=identity, arm=str(names["arm"]))
        place = None
        if method.needs & {"pairs", "links"}:
            text, place = self._text(method, names)
            own = {f.name: getattr(self._settings, f.name) for f in fields(PairSettings)}
            joint = replace(
                joint,
                corpus=text.corpus,
                guard=text.guard,
                links=text.links,
                settings=PairSettings(**own),
            )
        translated = "translated_task" in method.needs
        yield Arm(coordinates, self._untouched, None, joint.links, joint, place, translated)

    def _text(self, method: Method, names: Mapping[str, Any]) -> tuple[PairText, PairPlace]:
        """The parallel text that an objective reads, with the links of its words; where it lies."""
        pair = str(names["pair"])
        codes = pair.split("-")
        guard = self._guard(pair) if self._settings.exclude_overlap else ()
        text = PairText(
            arm=str(names["arm"]),
            corpus=self._corpus(pair),
            guard=tuple(data for data, _ in guard) or None,
        )
        corpus = self._data.where(self._suite.corpus, codes)
        place = PairPlace(corpus, tuple(where for _, where in guard))
        if "links" in method.needs:
            text = replace(text, links=self._links(pair, text, place))
        return text, place

    def _links(self, pair: str, text: PairText, place: PairPlace) -> str:
        """The stage that finds which words of the pairs translate each other."""
        name = self._settings.aligner
        plugin = self._catalogue.discovery.table.get("aligners", name)
        aligner = plugin.load()
        config = configured(f"aligner {name}", aligner, self._settings.aligner_options)
        # Even where an aligner looks at no states: pairs without tokens are left out of a corpus.
        settings = LinkSettings(
            self._settings.max_length,
            self._settings.max_pairs,
            self._settings.precision if "states" in aligner.needs else None,
        )
        dictionary = self._dictionary(pair, name) if "dictionary" in aligner.needs else None
        spec = LinksSpec(
            arm=text.arm,
            corpus=text.corpus,
            guard=text.guard,
            model=self._model,
            aligner=component(plugin, config),
            settings=settings,
            dictionary=dictionary[0] if dictionary else None,
        )
        places = LinksPlaces(
            **self._machine,
            label=f"word links {pair} by {name}",
            text=place,
            dictionary=dictionary[1] if dictionary else None,
        )
        return self._plan.add(LinksStage(spec, places))

    def _dictionary(self, pair: str, aligner: str) -> tuple[DataId, DataPlace]:
        found = self._data.dictionary(self._suite.dictionary, pair.split("-"))
        if found is None:
            raise XbenchError(
                f"The aligner {aligner!r} needs a dictionary, and the suite {self._spec.suite!r} "
                f"has none for {pair}; choose one that needs none: -O align.aligner=NAME."
            )
        return found

    def _corpus(self, pair: str) -> DataId:
        try:
            return self._data.identity(self._suite.corpus, pair.split("-"), "train")
        except MissingData as error:
            raise XbenchError(f"No parallel text for the pair {pair}: {error}") from error

    def _guard(self, pair: str) -> tuple[tuple[DataId, DataPlace], ...]:
        """(identity, where it lies) of every guarded test set that is here, in the pair's languages.

        Guarded are those that the suite names, and those of the run's own tasks. One that is not
        here guards nothing, and the plan says so.
        """
        if pair not in self._guards:
            self._guards[pair] = tuple(self._guarded(pair))
        return self._guards[pair]

    def _guarded(self, pair: str) -> Iterator[tuple[DataId, DataPlace]]:
        codes = pair.split("-")
        own = (self._suite.tasks[task] for task in self._plan.spec.task)
        for binding in {written(each): each for each in (*self._suite.guard, *own)}.values():
            source = self._catalogue.load("sources", binding.source)
            reads = [tuple(codes)] if source.languages_per_read == 2 else [(c,) for c in codes]
            for languages in reads:
                try:
                    data = self._data.guard(binding, languages)
                except (MissingData, NotHere) as error:
                    self._plan.unguarded[f"{binding.source}: {'-'.join(languages)}"] = str(error)
                    continue
                yield data, self._data.where(binding, languages)
