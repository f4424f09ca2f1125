"""The encoders that a run compares: untouched, aligned, with wrong pairs, transformed, merged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xbench.api.source import MissingData
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import configured
from xbench.catalogue.hub import NotHere
from xbench.catalogue.identity import component
from xbench.errors import XbenchError
from xbench.plan.data import Data, written
from xbench.plan.graph import Plan, Stage
from xbench.spec.methods import Method, find_method

# What phase I is told that is no part of how an encoder is trained.
_NOT_KEYED = ("checkpoints", "exclude_overlap", "aligner", "aligner_options", "fit_sentences")
_OF_PAIRS = ("batch_size", "max_length", "max_pairs", "mlm_probability")


@dataclass(frozen=True)
class Arm:
    """An encoder to be evaluated: the weights to start from, and what else is done to it.

    ``parents`` give those weights; ``joint`` acts during fine-tuning, ``merge`` at its end,
    ``transform`` on what the encoder gives. ``unavailable`` says why it cannot be had.
    """

    coordinates: Mapping[str, Any]
    encoder: Mapping[str, Any]
    align: str | None = None
    links: str | None = None
    joint: Mapping[str, Any] | None = None
    joint_recipe: Mapping[str, Any] = field(default_factory=dict)
    needs_translations: bool = False
    transform: Mapping[str, Any] | None = None
    merge: Mapping[str, Any] | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        """The stages that give the weights to start from."""
        return (self.align,) if self.align else ()

    @property
    def label(self) -> str:
        """For a person."""
        c = self.coordinates
        if c["arm"] == "none":
            return "the untouched encoder"
        seed = None if c.get("align_seed") is None else f"align seed {c['align_seed']}"
        words = [f"{c['objective']}:{c['variant']}", c.get("pair"), c["arm"], seed]
        return " ".join(str(w) for w in words if w and w != "aligned")


class Arms:
    """Makes the arms of a plan, and the stages of phase I behind them."""

    def __init__(
        self,
        plan: Plan,
        catalogue: Catalogue,
        data: Data,
        model: Mapping[str, Any],
        recipe: Mapping[str, Any],
        precision: str,
    ) -> None:
        self._plan = plan
        self._spec = plan.spec
        self._catalogue = catalogue
        self._data = data
        self._model = model
        self._recipe = recipe
        self._suite = catalogue.registry.suite(plan.spec.suite)
        self._settings = {**plan.spec.align, "precision": precision}
        self._guards: dict[str, Any] = {}

    def all(self) -> Iterator[Arm]:
        """Every arm that was asked for, the untouched encoder first."""
        wanted = self._spec.arm or ()
        if "none" in wanted:
            yield Arm({"arm": "none"}, {"base": self._model})
        assert isinstance(self._spec.objective, dict)
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
            yield Arm(names, {"base": self._model}, transform=identity)
        elif method.kind == "merge":
            yield Arm(names, {"base": self._model}, merge=identity)
        else:
            for pair in (self._spec.pair or ()) if method.uses_pairs else (None,):
                for phase in self._phases(method):
                    make = self._before if phase == "before" else self._during
                    yield from make(method, identity, {**names, "pair": pair})

    def _phases(self, method: Method) -> Sequence[str]:
        wanted = [phase for phase in self._spec.phase or () if phase in method.phases]
        return wanted or method.phases[:1]

    def _before(
        self, method: Method, identity: Mapping[str, Any], names: Mapping[str, Any]
    ) -> Iterator[Arm]:
        """Phase I: an alignment for each seed, an arm for each of its checkpoints."""
        if names["pair"] is None:
            raise XbenchError(f"{method.name} reads no pairs: it cannot act before fine-tuning.")
        for seed in self._spec.align_seed or ():
            settings = {k: v for k, v in self._settings.items() if k not in _NOT_KEYED}
            keyed, recipe, links = self._text(method, names)
            stage_spec = {
                "model": self._model,
                "objective": identity,
                **keyed,
                "settings": settings,
                "seed": seed,
            }
            recipe = {**self._recipe, **recipe, "checkpoints": list(self._settings["checkpoints"])}
            recipe["label"] = Arm({**names, "align_seed": seed}, {}).label
            parents = (links,) if links else ()
            key = self._plan.add(Stage("align", stage_spec, recipe, parents))
            for step in self._spec.align_step or ():
                coordinates = {**names, "align_step": step, "align_seed": seed}
                yield Arm(coordinates, {"align": key, "step": step}, key, links)

    def _during(
        self, method: Method, identity: Mapping[str, Any], names: Mapping[str, Any]
    ) -> Iterator[Arm]:
        """Phase II: the objective is a second loss beside the task's."""
        coordinates = {**names, "variant": f"{names['variant']}@during"}
        joint: dict[str, Any] = {"objective": identity, "arm": names["arm"]}
        recipe: dict[str, Any] = {}
        links = None
        if method.needs & {"pairs", "links"}:
            keyed, text, links = self._text(method, names)
            joint |= {**keyed, "settings": {name: self._settings[name] for name in _OF_PAIRS}}
            recipe["pairs"] = text
        translated = "translated_task" in method.needs
        base = {"base": self._model}
        yield Arm(coordinates, base, None, links, joint, recipe, translated)

    def _text(
        self, method: Method, names: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], str | None]:
        """(keyed part, recipe, key of the links) of the parallel text that an objective reads."""
        pair, arm = str(names["pair"]), names["arm"]
        codes = pair.split("-")
        guard = self._guard(pair) if self._settings["exclude_overlap"] else ()
        keyed: dict[str, Any] = {"arm": arm, "corpus": self._corpus(pair)}
        if guard:
            keyed["guard"] = [data for data, _ in guard]
        recipe = {
            **self._data.where(self._suite.corpus, codes),
            "guard": [where for _, where in guard],
        }
        if "links" not in method.needs:
            return keyed, recipe, None
        links = self._links(pair, keyed, recipe)
        return {**keyed, "links": links}, recipe, links

    def _links(self, pair: str, keyed: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
        """The stage that finds which words of the pairs translate each other."""
        name = self._settings["aligner"]
        plugin = self._catalogue.discovery.table.get("aligners", name)
        aligner = plugin.load()
        config = configured(f"aligner {name}", aligner, self._settings["aligner_options"])
        settings = ("max_length", "max_pairs")
        # Even where an aligner looks at no states: pairs without tokens are left out of a corpus.
        spec = {
            **keyed,
            "model": self._model,
            "aligner": {**component(plugin), "config": config},
            "settings": {each: self._settings[each] for each in settings},
        }
        recipe = {**self._recipe, **recipe, "label": f"word links {pair} by {name}"}
        if "states" in aligner.needs:
            spec["settings"]["precision"] = self._settings["precision"]
        if "dictionary" in aligner.needs:
            spec["dictionary"], recipe["dictionary"] = self._dictionary(pair, name)
        return self._plan.add(Stage("links", spec, recipe))

    def _dictionary(self, pair: str, aligner: str) -> tuple[dict[str, Any], dict[str, Any]]:
        found = self._data.dictionary(self._suite.dictionary, pair.split("-"))
        if found is None:
            raise XbenchError(
                f"The aligner {aligner!r} needs a dictionary, and the suite {self._spec.suite!r} "
                f"has none for {pair}; choose one that needs none: -O align.aligner=NAME."
            )
        return found

    def _corpus(self, pair: str) -> dict[str, Any]:
        try:
            return self._data.identity(self._suite.corpus, pair.split("-"), "train")
        except MissingData as error:
            raise XbenchError(f"No parallel text for the pair {pair}: {error}") from error

    def _guard(self, pair: str) -> tuple[tuple[dict[str, Any], dict[str, Any]], ...]:
        """(identity, where it lies) of every guarded test set that is here, in the pair's languages.

        Guarded are those that the suite names, and those of the run's own tasks. One that is not
        here guards nothing, and the plan says so.
        """
        if pair not in self._guards:
            self._guards[pair] = tuple(self._guarded(pair))
        found: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = self._guards[pair]
        return found

    def _guarded(self, pair: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        codes = pair.split("-")
        own = (self._suite.tasks[task] for task in self._plan.spec.task or ())
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
