"""Test items of a run: what each contributed to a score, from the predictions in the store."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from xbench.api.metric import Floats, Metric
    from xbench.report.item_noise import ItemReader, PerItem
    from xbench.report.table import Table


def items_of(folder: Path, run: Mapping[str, Any], frame: "pd.DataFrame") -> "list[Table]":
    """The table of intervals over test items of the run in ``folder``; none without fine-tuning."""
    from xbench.cli.tables import selection_of, style_of
    from xbench.report.item_noise import item_tables
    from xbench.report.reading import read_results
    from xbench.report.untrained import has_training
    from xbench.results import SPEC
    from xbench.spec import read_spec

    if not has_training(frame):
        return []
    style = style_of(folder, run, read_spec(folder / SPEC), allow_partial=False)
    results = read_results(frame, selection_of(run))
    return item_tables(results, item_reader(Store(folder.parent.parent), run), style)


def item_reader(store: Store, run: Mapping[str, Any]) -> "ItemReader":
    """Reads each evaluation once, whoever asks for it; of every task its first metric."""
    from xbench.report.item_noise import ItemReader

    evaluations = {cell["score"]: cell["evaluate"] for cell in run["cells"] if cell["score"]}
    metrics: dict[str, Metric] = {
        task: _metric(task, names[0]) for task, names in run["metrics"].items()
    }

    @cache
    def read(task: str, score: str) -> "PerItem | None":
        return _contributions(store, evaluations.get(score), metrics[task])

    def aggregate(task: str) -> "Callable[[Floats], Floats]":
        return metrics[task].aggregate

    return ItemReader(read, aggregate, _parallel(run))


def _parallel(run: Mapping[str, Any]) -> "Callable[[str], bool]":
    """Whether the source that a run's suite binds to a task says the same in every language."""
    from xbench.cli.tables import suite_name
    from xbench.discovery import discovery
    from xbench.errors import XbenchError
    from xbench.registry import load_registry

    suite = load_registry().suites.get(suite_name(run))

    @cache
    def parallel(task: str) -> bool:
        if suite is None or task not in suite.tasks:
            return False
        try:
            source = discovery.table.get("sources", suite.tasks[task].source).load()
        except XbenchError:  # the plugin that brought it is not here any more
            return False
        return bool(source.parallel)

    return parallel


def _metric(task: str, name: str) -> "Metric":
    from xbench.discovery import discovery

    labels = discovery.table.get("tasks", task).load()().labels
    found: Metric = discovery.table.get("metrics", name).load()(labels)
    return found


def _contributions(store: Store, evaluation: str | None, metric: "Metric") -> "PerItem | None":
    """None where the predictions are not there, or damaged."""
    import pyarrow.parquet as pq

    from xbench.artefacts import PREDICTIONS
    from xbench.store import DamagedArtefact

    if evaluation is None or store.state("evaluate", evaluation) != "done":
        return None
    try:
        path = store.file("evaluate", evaluation, PREDICTIONS)
    except DamagedArtefact:  # it was set aside, and the next run computes it again
        return None
    columns = pq.read_table(path, columns=["id", "gold", "predicted"]).to_pydict()
    gold, predicted = (
        [[metric.labels[number] for number in item] for item in columns[side]]
        for side in ("gold", "predicted")
    )
    return columns["id"], metric.items(gold, predicted)
