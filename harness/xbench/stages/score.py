"""Predictions -> metrics. A stage of its own, so that a new metric never needs a new prediction."""

import math
from typing import Any

import pyarrow.parquet as pq

from xbench.plan.artefacts import PREDICTIONS
from xbench.plan.kinds.task import ScoreStage
from xbench.stages.resources import Resources
from xbench.store import Entry


def run(stage: ScoreStage, resources: Resources, entry: Entry) -> None:
    """Score the predictions of the parent stage with every metric asked for."""
    path = resources.store.file("evaluate", stage.spec.evaluate, PREDICTIONS)
    columns = pq.read_table(path, columns=["gold", "predicted"]).to_pydict()
    task = resources.task(stage)
    labels = task.labels
    # What a retrieval finds are places in the test set; they are their own names.
    name = str if task.level == "retrieval" else labels.__getitem__
    gold = [[name(number) for number in item] for item in columns["gold"]]
    predicted = [[name(number) for number in item] for item in columns["predicted"]]
    scores: dict[str, Any] = {}
    for asked in stage.spec.metrics:
        metric = resources.metric(asked.name, labels)
        value = float(metric.aggregate(metric.items(gold, predicted).sum(0)))
        scores[asked.name] = None if math.isnan(value) else value
    entry.result = {"scores": scores, "n": len(gold)}
