"""What a probe sees of a checkpoint (:class:`xbench.api.ProbeView`)."""

from collections.abc import Mapping

from torch import Tensor

from xbench.api.probe import Pair, Where
from xbench.api.source import MissingData
from xbench.nn.encoders.loading import AnyEncoder
from xbench.plan.kinds.probe import ProbeStage
from xbench.stages.inputs.encoding import Encoding
from xbench.stages.probing.gradients import EncoderGradients
from xbench.stages.probing.probe_text import ProbedText
from xbench.stages.resources import Resources


class CheckpointView:
    """The parallel text of a suite through one encoder; states are shared by a job's probes.

    Sentences that a model of the run was fine-tuned on are left out, in all languages and of all
    checkpoints, where fine-tuned ones are probed too: numbers before and after are of the same ones.
    """

    def __init__(
        self,
        stage: ProbeStage,
        resources: Resources,
        encoder: AnyEncoder,
        text: ProbedText,
        gradients: EncoderGradients | None = None,
    ) -> None:
        self._text = text
        self._stage = stage
        self._resources = resources
        self._encoder = encoder
        self._gradients = gradients
        self._encoding = Encoding(stage, resources, encoder)
        self.source: str = stage.spec.source
        self.missing: Mapping[str, str] = stage.places.missing
        self.groups: Mapping[str, tuple[Pair, ...]] = {
            name: tuple((first, second) for first, second in pairs)
            for name, pairs in stage.spec.groups.items()
        }
        self.trained_on = frozenset(code for code in stage.places.trained_on if code)

    @property
    def languages(self) -> tuple[str, ...]:
        """The source language, and those that there is parallel text of."""
        return (self.source, *self._stage.spec.texts)

    @property
    def gradients(self) -> EncoderGradients:
        """Gradients with respect to this encoder."""
        if self._gradients is None:
            raise ValueError("a probe that takes gradients says so: needs = {'gradients'}")
        return self._gradients

    def layer(self, depth: float) -> int:
        """The layer at a relative depth."""
        return self._encoder.layer_at(depth)

    def ids(self, language: str) -> tuple[str, ...]:
        """[N] in the order of ``pooled``."""
        return tuple(self._text.sentences(language))

    def pooled(self, language: str, depth: float) -> Tensor:
        """[N, D] mean over content tokens."""
        texts = list(self._text.sentences(language).values())
        return self._encoding.pooled(("text", language), texts, depth)

    def pair(self, pair: Pair, depth: float) -> tuple[Tensor, Tensor]:
        """Both sides of the sentences that both languages have."""
        first, second = (self.ids(code) for code in pair)
        u, v = (self.pooled(code, depth) for code in pair)
        if first == second:
            return u, v
        place = {name: n for n, name in enumerate(second)}
        shared = [(n, place[name]) for n, name in enumerate(first) if name in place]
        if not shared:
            raise MissingData(f"{'-'.join(pair)} have no sentence in common")
        left, right = zip(*shared, strict=True)
        return u[list(left)], v[list(right)]

    def words(self, pair: Pair, depth: float, where: Where = "isolation") -> tuple[Tensor, Tensor]:
        """Vectors of dictionary entries, in isolation or in the parallel text."""
        entries = first_translations(pair, self._stage, self._resources)
        if where == "isolation":
            sides = [[entry[n] for entry in entries] for n in (0, 1)]
            found = [
                self._encoding.pooled(("words", *pair, n), side, depth)
                for n, side in enumerate(sides)
            ]
            return found[0], found[1]
        pairs = self._text.pairs(pair)
        return self._encoding.words_in_context(pair, pairs, entries, depth)


def first_translations(
    pair: Pair, stage: ProbeStage, resources: Resources
) -> list[tuple[str, str]]:
    """The pair's dictionary, each source word with its first translation."""
    place = stage.places.dictionaries.get("-".join(pair))
    if place is None:
        raise MissingData("there is no dictionary of this pair")
    languages = [resources.catalogue.languages.get(code) for code in pair]
    found: dict[str, str] = {}
    for entry in resources.source_at(place).read(languages, "train"):
        found.setdefault(entry.source, entry.target)
        if len(found) >= stage.spec.settings.entries:
            break
    return list(found.items())
