"""The stage that probes one checkpoint."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from xbench.catalogue.identity import Component
from xbench.keys import absent, canonical, to_json
from xbench.plan.records import DataId, DataPlace, EncoderId, Reading, TaskId
from xbench.plan.stage import FINETUNE, Places, Stage, Stages


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How a checkpoint is probed; the last two only of probes that take gradients."""

    sentences: int | None
    entries: int
    max_length: int
    batch_size: int
    precision: str
    gradient_batches: int | None = absent()
    gradient_batch_size: int | None = absent()


@dataclass(frozen=True)
class BatchSettings:
    """Of an alignment's settings those that its objective's loss depends on: negatives, and text."""

    batch_size: int
    accumulate: int
    max_length: int
    mlm_probability: float


@dataclass(frozen=True, kw_only=True)
class ProbeSpec:
    """A probe of an encoder, with the ``head`` that was fitted on it, or of a ``finetune``'s model.

    ``texts`` and ``dictionaries`` are by language and by pair, ``groups`` name pairs; ``seen`` is the
    training data whose sentences are left out. The others are what gradients are taken of: the
    ``task`` with its ``items`` by language, the ``objective`` on text of a ``pair``.
    """

    probe: Component
    source: str
    texts: Mapping[str, DataId]
    groups: Mapping[str, tuple[tuple[str, str], ...]]
    settings: ProbeSettings
    encoder: EncoderId | None = absent()
    head: str | None = absent()
    finetune: str | None = absent()
    dictionaries: Mapping[str, DataId] | None = absent()
    seen: tuple[DataId, ...] | None = absent()
    task: TaskId | None = absent()
    pooling: str | None = absent()
    items: Mapping[str, DataId] | None = absent()
    objective: Component | None = absent()
    pair: tuple[str, str] | None = absent()
    objective_settings: BatchSettings | None = absent()


@dataclass(frozen=True, kw_only=True)
class ProbePlaces(Places):
    """Where texts, dictionaries and labelled items lie; which texts there are none of, and why.

    ``depths`` are those that all probes of the run together ask for: states are computed once.
    ``trained_on`` are the languages that the encoder was aligned on.
    """

    texts: Mapping[str, DataPlace]
    missing: Mapping[str, str]
    depths: tuple[float, ...]
    trained_on: tuple[str, ...]
    dictionaries: Mapping[str, DataPlace] = field(default_factory=dict)
    seen: tuple[DataPlace, ...] = ()
    items: Mapping[str, DataPlace] = field(default_factory=dict)
    task: str | None = None


@dataclass(frozen=True)
class ProbeStage(Stage):
    """Measures one checkpoint."""

    spec: ProbeSpec
    places: ProbePlaces

    kind = "probe"
    schema = 3
    title = "probe"
    point = (*FINETUNE, "probe")
    run = "xbench.stages.probe:run"
    asked = True
    fills = True

    def job(self, stages: Stages) -> str:
        """The model's; probes of one encoder go together: they share its states."""
        if self.spec.finetune is not None:
            return super().job(stages)
        return canonical(to_json({"probe": self.spec.encoder}))

    def cost(self, stages: Stages) -> tuple[str, str]:
        """By probe."""
        return self.spec.probe.name, ""

    def reads(self) -> Iterator[Reading]:
        """The text of each language, and the dictionary of each pair."""
        for code, data in self.spec.texts.items():
            yield Reading(data, self.places.texts[code], None, "parallel text")
        for pair, data in (self.spec.dictionaries or {}).items():
            yield Reading(data, self.places.dictionaries[pair], None, "dictionary")
