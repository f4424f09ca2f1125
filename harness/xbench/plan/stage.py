"""A stage: one pure computation of a plan, and what is to be known of its kind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypedDict

from xbench.keys import digest_of, from_json, to_json
from xbench.plan.artefacts import RESULT
from xbench.plan.records import EncoderId, Reading

Stages = Mapping[str, "Stage"]

ALIGN = ("objective", "variant", "arm", "pair", "align_seed")
FINETUNE = (*ALIGN, "task", "mode", "seed")


class Machine(TypedDict):
    """The model's folder and the device, which all stages of a plan share."""

    model_folder: str
    model_digest: str
    device: str


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a stage finds what it reads, and how it is called; nothing of it is in a key.

    ``label`` is the stage's name for a person.
    """

    model_folder: str
    model_digest: str
    device: str
    label: str = ""


@dataclass(frozen=True)
class Stage:
    """One computation. ``spec`` is keyed: all that determines the result; ``places`` is not.

    ``parents`` are the stages whose files it reads. Each kind of stage is a class of its own, which
    says what is to be known of it outside the function that computes it: ``schema`` is raised when
    the engine's own numbers change for that kind; ``title`` is its name for a person, and ``point``
    are the coordinates of cells that tell its stages apart; ``run`` is its function, as
    ``module:name``, imported in the process that computes. ``asked`` says whether cells ask for it:
    all else is computed only as far as that lacks something. ``fills`` says whether it belongs to
    one cell, so that its failure is the cell's own; ``alone``, whether each is a job of its own,
    before the others, since much waits for it.
    """

    spec: Any
    places: Any
    parents: tuple[str, ...] = ()

    kind: ClassVar[str]
    schema: ClassVar[int]
    title: ClassVar[str]
    point: ClassVar[tuple[str, ...]]
    run: ClassVar[str]
    asked: ClassVar[bool] = False
    fills: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    @cached_property
    def key(self) -> str:
        """sha256 over kind, schema and everything that determines the result."""
        return digest_of({"kind": self.kind, "schema": self.schema, **to_json(self.spec)})

    @property
    def label(self) -> str:
        """Its name for a person."""
        return str(self.places.label)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Stage":
        """Read back what :meth:`to_json` gave, for a stage of this kind."""
        hints = cls.__annotations__
        spec = from_json(hints["spec"], content["spec"])
        places = from_json(hints["places"], content["places"])
        return cls(spec, places, tuple(content["parents"]))

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {
            "kind": self.kind,
            "spec": to_json(self.spec),
            "places": to_json(self.places),
            "parents": list(self.parents),
        }

    def leaves(self) -> list[str]:
        """The files that the stage is there for."""
        return [RESULT]

    def lends(self, child: "Stage", stages: Stages) -> list[str]:
        """Those of its files that a stage reads which has it as a parent."""
        return [RESULT]

    def encoder(self, stages: Stages) -> EncoderId | None:
        """The weights that it starts from: its own, or those of its fine-tuning; None where it has none."""
        model, own = self.model(stages), getattr(self.spec, "encoder", None)
        return own if model in (None, self.key) else stages[str(model)].encoder(stages)

    def model(self, stages: Stages) -> str | None:
        """The fine-tuning whose model it needs at hand; None where there is none."""
        return getattr(self.spec, "finetune", None)

    def job(self, stages: Stages) -> str:
        """Names the job that it belongs to: stages that share a model, or an encoder, go together."""
        model = self.model(stages)
        return self.key if model is None else stages[model].job(stages)

    def stack(self) -> str | None:
        """Stages that give the same name can be computed as one program; None: this one cannot."""
        return None

    def cost(self, stages: Stages) -> tuple[str, str]:
        """(what is computed, how): stages that agree in them take as long for each unit."""
        return "", ""

    def units(self, items: int) -> float:
        """Steps, or test items, that it goes through; ``items`` is how many its data has."""
        return 1.0

    def batch_size(self) -> str:
        """The setting of that name, which the cost depends on; empty where there is none."""
        return str(getattr(getattr(self.spec, "settings", None), "batch_size", None) or "")

    def reads(self) -> Iterator[Reading]:
        """The text that is looked at before any work."""
        return iter(())
