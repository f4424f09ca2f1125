"""Stages on parallel text: word links, and the alignment of an encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xbench.catalogue.identity import Component
from xbench.catalogue.settings import AlignSettings
from xbench.keys import absent, plain
from xbench.plan.artefacts import LINKS, checkpoint
from xbench.plan.records import DataId, DataPlace, ModelId, Reading
from xbench.plan.stage import ALIGN, Places, Stage, Stages

# What phase I is told that is no part of how an encoder is trained.
_NOT_KEYED = ("checkpoints", "exclude_overlap", "aligner", "aligner_options", "fit_sentences")


@dataclass(frozen=True, kw_only=True)
class PairText:
    """Which parallel text is read: ``arm`` says whether with right or wrong partners.

    ``guard`` are the test sets whose sentences are left out; ``links`` the key of the word links.
    """

    arm: str
    corpus: DataId
    guard: tuple[DataId, ...] | None = absent()
    links: str | None = absent()


@dataclass(frozen=True)
class PairPlace:
    """Where parallel text lies, and the test sets that guard it."""

    corpus: DataPlace
    guard: tuple[DataPlace, ...] = ()


def guard_readings(guard: Sequence[DataId] | None, place: PairPlace) -> Iterator[Reading]:
    """The test sets that guard parallel text."""
    for data, where in zip(guard or (), place.guard, strict=True):
        yield Reading(data, where, None, f"guard {where.source}")


@dataclass(frozen=True)
class LinkSettings:
    """Of the alignment's settings those that word links depend on; precision, where states are read."""

    max_length: int
    max_pairs: int | None
    precision: str | None = absent()


@dataclass(frozen=True, kw_only=True)
class LinksSpec(PairText):
    """The words of a corpus linked by an aligner, which may look at the untouched encoder's states."""

    model: ModelId
    aligner: Component
    settings: LinkSettings
    dictionary: DataId | None = absent()


@dataclass(frozen=True, kw_only=True)
class LinksPlaces(Places):
    """Where the corpus and the dictionary lie."""

    text: PairPlace
    dictionary: DataPlace | None = None


@dataclass(frozen=True)
class LinksStage(Stage):
    """Finds which words of the pairs translate each other."""

    spec: LinksSpec
    places: LinksPlaces

    kind = "links"
    schema = 2
    title = "word links"
    point = ("pair", "arm")
    run = "xbench.stages.links:run"
    alone = True

    def leaves(self) -> list[str]:
        """The table of links."""
        return [LINKS]

    def lends(self, child: Stage, stages: Stages) -> list[str]:
        """The table of links."""
        return [LINKS]

    def cost(self, stages: Stages) -> tuple[str, str]:
        """By aligner."""
        return self.spec.aligner.name, ""

    def reads(self) -> Iterator[Reading]:
        """The corpus, the dictionary, the guarding test sets."""
        label, spec, places = self.places.label, self.spec, self.places
        yield Reading(spec.corpus, places.text.corpus, None, label)
        if spec.dictionary is not None and places.dictionary is not None:
            yield Reading(spec.dictionary, places.dictionary, None, f"dictionary of {label}")
        yield from guard_readings(spec.guard, places.text)


@dataclass(frozen=True, kw_only=True)
class AlignSpec(PairText):
    """An encoder tuned with an objective on parallel text."""

    model: ModelId
    objective: Component
    settings: AlignSettings
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Settings that are no part of how an encoder is trained are left out."""
        whole: dict[str, Any] = plain(self)
        for name in _NOT_KEYED:
            del whole["settings"][name]
        return whole


@dataclass(frozen=True, kw_only=True)
class AlignPlaces(Places):
    """Where the corpus lies, and after which steps weights are kept."""

    text: PairPlace
    checkpoints: tuple[int, ...]


@dataclass(frozen=True)
class AlignStage(Stage):
    """Phase I: tunes the encoder with an objective."""

    spec: AlignSpec
    places: AlignPlaces

    kind = "align"
    schema = 2
    title = "align"
    point = ALIGN
    run = "xbench.stages.align:run"
    alone = True

    def leaves(self) -> list[str]:
        """The weights after each step that was asked for."""
        return [checkpoint(step) for step in self.places.checkpoints]

    def lends(self, child: Stage, stages: Stages) -> list[str]:
        """The weights after the step that the child starts from."""
        start = child.encoder(stages)
        assert start is not None
        assert start.step is not None
        return [checkpoint(start.step)]

    def cost(self, stages: Stages) -> tuple[str, str]:
        """By objective."""
        return self.spec.objective.name, ""

    def units(self, items: int) -> float:
        """Steps."""
        return float(self.spec.settings.steps)

    def reads(self) -> Iterator[Reading]:
        """The corpus and the guarding test sets."""
        yield Reading(self.spec.corpus, self.places.text.corpus, None, self.places.label)
        yield from guard_readings(self.spec.guard, self.places.text)
