"""A run as its store holds it, with all that a report asks of it, each read once."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.catalogue.catalogue import Catalogue
from xbench.store import DamagedArtefact, Store
from xbench.store.runs import SPEC, RunRecord, find_run, read_notes, read_record

if TYPE_CHECKING:
    import pandas as pd

    from xbench.catalogue.registry import SuiteEntry
    from xbench.report.claims.verdicts import Judged
    from xbench.report.results.background import Background
    from xbench.report.results.provenance import Provenance
    from xbench.report.results.results import Selection
    from xbench.spec.request import RunSpec
    from xbench.store.failures import Failure


class StoredRun:
    """What a run asked for, and what the store has of it::

        run = StoredRun.find(Store(Path("xbench-store")))
        run.rows             # a pandas table: one row per measured value
        run.claims           # what it says about each claim

    Everything is read when it is first asked for, and kept: a run that goes on is read anew by a
    new object.
    """

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self.folder = folder
        self.store = store or Store(folder.parent.parent)

    @classmethod
    def find(cls, store: Store, name: str | None = None) -> "StoredRun":
        """A run by (the beginning of) its id, else the one asked for last.

        Raises :class:`~xbench.errors.XbenchError` where there is none, or a store of another format.
        """
        store.check_format()
        return cls(find_run(store, name), store)

    @property
    def name(self) -> str:
        """The id of the run."""
        return self.folder.name

    @cached_property
    def record(self) -> RunRecord:
        """Its cells, metrics, and what has no data."""
        return read_record(self.folder)

    @cached_property
    def spec(self) -> "RunSpec":
        """The resolved spec."""
        from xbench.spec.request import read_spec

        return read_spec(self.folder / SPEC)

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """The tidy results: a row per measured value, failures included."""
        from xbench.store.rows import read_rows

        return read_rows(self.store, self.record)

    @cached_property
    def failures(self) -> "list[Failure]":
        """What failed and cost a cell its value."""
        from xbench.store.failures import failures

        return failures(self.store, self.record)

    @property
    def is_complete(self) -> bool:
        """Whether every cell that has data has its value."""
        return bool(self.rows["status"].isin(["done", "unavailable"]).all())

    @cached_property
    def notes(self) -> list[str]:
        """What was said of its input before it ran."""
        return read_notes(self.folder)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The registry and the plugins of this installation, which may not be those of the run."""
        return Catalogue.installed()

    @property
    def suite_name(self) -> str:
        """The suite that the run is of; empty for a run without cells."""
        cells = self.record.cells
        return str(cells[0].coordinates["suite"]) if cells else ""

    @property
    def suite(self) -> "SuiteEntry | None":
        """The suite's entry, where it is known here."""
        return self.catalogue.registry.suites.get(self.suite_name)

    @property
    def source_language(self) -> str | None:
        """The language that the suite learns tasks in, where the suite is known."""
        return self.suite.source_language if self.suite else None

    @cached_property
    def selection(self) -> "Selection":
        """What is reported: each task's first metric, on the split that the run evaluates."""
        from xbench.report.results.results import Selection

        metrics = {task: names[0] for task, names in self.record.metrics.items()}
        splits = {cell.coordinates["split"] for cell in self.record.cells if not cell.probe}
        return Selection(metrics, split=min(splits, default="test"))  # a run evaluates one

    @cached_property
    def background(self) -> "Background":
        """What the catalogue knows of its probes and languages."""
        from xbench.report.run.background import background_of

        return background_of(self.suite_name, self.rows, self.catalogue)

    @cached_property
    def claims(self) -> "list[Judged]":
        """A verdict on every claim that is installed. Raises ``ValueError`` as tables do."""
        from xbench.report.run.claims import judged_claims

        return judged_claims(
            self.rows, self.selection, self.background, self.source_language, self.catalogue
        )

    @cached_property
    def provenance(self) -> "Provenance":
        """The rows and stages behind its numbers."""
        from xbench.report.results.provenance import read_provenance

        return read_provenance(self.store, self.record, self.rows, self.name)

    @cached_property
    def alignments(self) -> Mapping[str, Mapping[str, Any]]:
        """Pair -> the result of one of its alignments, as far as they are done."""
        keys = {cell.align: cell.coordinates.get("pair") for cell in self.record.cells}
        return {
            str(pair): self.store.result("align", key)
            for key, pair in keys.items()
            if key is not None and self.store.state("align", key) == "done"
        }

    @cached_property
    def evaluations(self) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        """(task, language) -> the result of one evaluation.

        One tells for all what is trained on and tested: that is the same for every encoder.
        """
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for cell in self.record.cells:
            place = (cell.coordinates.get("task", ""), cell.coordinates.get("language", ""))
            key = cell.evaluate
            if place in found or key is None or self.store.state("evaluate", key) != "done":
                continue
            try:
                found[place] = self.store.result("evaluate", key)
            except DamagedArtefact:  # it was set aside, and the next run computes it again
                continue
        return found
