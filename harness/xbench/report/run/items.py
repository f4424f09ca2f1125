"""Test items of a run: what each contributed to a score, from the predictions in the store."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from xbench.errors import XbenchError
from xbench.plan.artefacts import PREDICTIONS
from xbench.report.results.reading import read_results
from xbench.report.run.stored import StoredRun
from xbench.report.run.style import style_of
from xbench.report.table import Table
from xbench.report.tables.item_noise import ItemReader, PerItem, item_tables
from xbench.report.tables.untrained import has_training
from xbench.store import DamagedArtefact, Store

if TYPE_CHECKING:
    from xbench.api.metric import Floats, Metric


def items_of(run: StoredRun) -> list[Table]:
    """The table of intervals over a run's test items; none without fine-tuning."""
    if not has_training(run.rows):
        return []
    results = read_results(run.rows, run.selection)
    return item_tables(results, item_reader(run), style_of(run))


def item_reader(run: StoredRun) -> ItemReader:
    """Reads each evaluation once, whoever asks for it; of every task its first metric."""
    evaluations = {cell.score: cell.evaluate for cell in run.record.cells if cell.score}
    metrics = {task: _metric(run, task, names[0]) for task, names in run.record.metrics.items()}

    @cache
    def read(task: str, score: str) -> PerItem | None:
        return _contributions(run.store, evaluations.get(score), metrics[task])

    def aggregate(task: str) -> "Callable[[Floats], Floats]":
        return metrics[task].aggregate

    return ItemReader(read, aggregate, _parallel(run))


def _parallel(run: StoredRun) -> Callable[[str], bool]:
    """Whether the source that a run's suite binds to a task says the same in every language."""

    @cache
    def parallel(task: str) -> bool:
        if run.suite is None or task not in run.suite.tasks:
            return False
        try:
            source = run.catalogue.load("sources", run.suite.tasks[task].source)
        except XbenchError:  # the plugin that brought it is not here any more
            return False
        return bool(source.parallel)

    return parallel


def _metric(run: StoredRun, task: str, name: str) -> "Metric":
    labels = run.catalogue.load("tasks", task)().labels
    found: Metric = run.catalogue.load("metrics", name)(labels)
    return found


def _contributions(store: Store, evaluation: str | None, metric: "Metric") -> PerItem | None:
    """None where the predictions are not there, or damaged."""
    import pyarrow.parquet as pq

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
