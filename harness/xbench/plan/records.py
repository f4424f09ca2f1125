"""What the stages of a plan say of data, weights and plugins: small records that keys are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xbench.catalogue.identity import Component
from xbench.keys import absent

ModelId = Mapping[str, Any]
"""What identifies the encoder of a run: the digests of its files, or a commit of the hub."""


@dataclass(frozen=True, kw_only=True)
class DataId:
    """What identifies a part of a data set: its source, what is read, and the content's fingerprint.

    In a tentative plan the data may not be here: then ``unresolved`` names its source.
    """

    split: str
    source: Component | None = absent()
    options: Mapping[str, Any] | None = absent()
    content: Mapping[str, Any] | None = absent()
    unresolved: str | None = absent()
    languages: tuple[str, ...] | None = absent()


@dataclass(frozen=True)
class DataPlace:
    """Where data lies: the source with its options, its folder, and how a hub names its files.

    ``task`` is the task that reads it, where that has to be said.
    """

    source: str
    options: Mapping[str, Any]
    folder: str | None
    hub_files: str | None
    languages: tuple[str, ...]
    task: str | None = None


@dataclass(frozen=True)
class EncoderId:
    """The weights that a stage starts from: the model as it is, or a step of an alignment."""

    base: ModelId | None = absent()
    align: str | None = absent()
    step: int | None = absent()


@dataclass(frozen=True, kw_only=True)
class TaskId(Component):
    """A task with what its data and its head depend on."""

    level: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A part of a stage's input that is looked at before any work; ``label`` is for a person."""

    data: DataId
    place: DataPlace
    task: str | None
    label: str

    @property
    def name(self) -> str:
        """``pos in deu, test``."""
        languages = "-".join(self.place.languages)
        return f"{self.task or self.label} in {languages}, {self.data.split}"
