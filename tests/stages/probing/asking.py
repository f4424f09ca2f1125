"""Probes of a test, requests of them, and what one of them sees of a checkpoint."""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow.parquet as pq

from xbench.catalogue.catalogue import Catalogue
from xbench.cli.session import Session
from xbench.nn.encoders.loading import AnyEncoder
from xbench.plan import Stage
from xbench.plan.artefacts import ROWS
from xbench.stages import finetune
from xbench.stages.probing.gradients import EncoderGradients
from xbench.stages.probing.probe_text import ProbedText
from xbench.stages.probing.probe_view import CheckpointView
from xbench.stages.resources import Resources
from xbench.stages.training.tuning import Tuned
from xbench.store import Store

from ...command import compute, request

PROBES = '''
import torch
from dataclasses import dataclass
from xbench.api import Probe, Row


class Look(Probe):
    """The mean of pooled vectors at half depth."""

    @dataclass(frozen=True)
    class Config:
        depths: tuple[float, ...] = (0.5,)

    def measure(self, view):
        for language in view.languages:
            vectors = view.pooled(language, self.config.depths[0])
            yield Row("mean", float(vectors.mean()), language, view.layer(0.5), len(vectors),
                      items=vectors.mean(1))
        yield Row("undefined", None, reason="nobody knows")


class Steep(Probe):
    """The norm of the task's gradient."""

    needs = frozenset({"gradients", "dictionary"})

    def measure(self, view):
        gradient = view.gradients.of_task(view.source, 0, 2)
        yield Row("norm", float(sum(g.square().sum() for g in gradient.values())))
        first, second = view.words(("qab", "qaa"), 1.0)
        yield Row("words", float((first - second).norm()), "qab-qaa", n=len(first))


class Broken(Probe):
    """Not a number."""

    def measure(self, view):
        yield Row("nan", float("nan"))
'''


def asked(*probes: str, **changes: Any) -> Any:
    """A request of probes on the untouched and one aligned encoder."""
    options = {"probing.sentences": 20, "probing.gradient_batches": 4} | changes.pop("options", {})
    options["probing.gradient_batch_size"] = 4
    given = {"mode": ["linear"], "language": ["qab", "qac"], **changes}
    return request(probe=list(probes), options=options, **given)


def rows_of(session: Session, store: Store, name: str) -> list[dict[str, Any]]:
    """The rows of a probe of the untouched encoder."""
    (cell,) = [
        cell
        for cell in session.plan.cells
        if cell.coordinates.get("probe") == name and cell.coordinates["arm"] == "none"
    ]
    assert cell.probe is not None
    rows: list[dict[str, Any]] = pq.read_table(store.file("probe", cell.probe, ROWS)).to_pylist()
    return rows


def probe_stage(session: Session, name: str, arm: str = "none") -> Stage:
    return next(
        session.plan.stages[cell.probe]
        for cell in session.plan.cells
        if cell.probe and cell.coordinates["probe"] == name and cell.coordinates["arm"] == arm
    )


@dataclass(frozen=True)
class Seen:
    """A checkpoint as a probe sees it, and what its view is made of."""

    stage: Stage
    resources: Resources
    encoder: AnyEncoder
    text: ProbedText
    tuned: Tuned | None

    @property
    def gradients(self) -> EncoderGradients:
        return EncoderGradients(self.stage, self.resources, self.encoder, self.text, self.tuned)

    @property
    def view(self) -> CheckpointView:
        return CheckpointView(self.stage, self.resources, self.encoder, self.text, self.gradients)


def see(session: Session, store: Store, arm: str = "none", **settings: Any) -> Seen:
    """What the probe ``steep`` sees of an encoder, under settings of its own."""
    stage = probe_stage(session, "steep", arm)
    spec = replace(stage.spec, settings=replace(stage.spec.settings, **settings))
    stage = replace(stage, spec=spec)
    resources = Resources(store, Catalogue.installed())
    head = session.plan.stages.get(stage.spec.head)
    tuned = finetune.load(head, resources) if head else None
    encoder = resources.encoder(stage).eval()
    return Seen(stage, resources, encoder, ProbedText(stage, resources), tuned)


def seen_aligned(store: Store, **asked_for: Any) -> Seen:
    """What ``steep`` sees of the aligned encoder alone."""
    return see(compute(asked("steep", arm=["aligned"], **asked_for), store), store, "aligned")
