"""Where a report's numbers come from: the rows behind a cell, and the stages behind a row."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import TYPE_CHECKING, Any

from xbench.errors import XbenchError
from xbench.files import parse_json
from xbench.plan import KINDS
from xbench.report.table import TableCell
from xbench.store import Store
from xbench.store.runs import RunRecord

if TYPE_CHECKING:
    import pandas as pd

ORDER = tuple(sorted(KINDS, key=lambda kind: "language" in KINDS[kind].point))
"""The kinds of stages, in the order in which they build on each other: first those of checkpoints, then
those of single languages."""

Record = dict[str, Any]
"""A row of the results table: column -> value, None for every kind of null."""


@dataclass(frozen=True)
class StageRecord:
    """A stage of the store, as it was computed.

    ``state`` is ``done``, ``failed`` or ``absent``; ``started`` is in seconds since 1970,
    ``seconds`` what it took, ``memory`` its peak in bytes; None where nobody wrote it down.
    """

    kind: str
    key: str
    state: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    started: float | None = None
    seconds: float | None = None
    memory: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class SeedMean:
    """One metric's mean over the ``n`` rows (languages, layers) of one run, by its seeds."""

    metric: str
    align_seed: int | None
    seed: int | None
    value: float
    n: int


@dataclass(frozen=True)
class Provenance:
    """What a run holds, by store key.

    ``about``: (name, text) for the head of a page. ``rows``: key of a row -> its rows, several
    where a stage measures several things. ``chains``: key of a row -> the keys of all its stages.
    """

    about: tuple[tuple[str, str], ...] = ()
    rows: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    chains: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stages: Mapping[str, StageRecord] = field(default_factory=dict)

    def rows_of(
        self, keys: Iterable[str], where: Sequence[tuple[str, Sequence[Any]]] = ()
    ) -> list[Record]:
        """The rows with these keys that ``where`` (column, its values) allows.

        A row without a value may leave a column open, as what failed as a whole does.
        """
        return [
            row
            for key in keys
            for row in self.rows.get(key, ())
            if all(
                row.get(column) in values or (row.get(column) is None and row["status"] != "done")
                for column, values in where
            )
        ]

    def stages_of(self, rows: Iterable[Record]) -> list[StageRecord]:
        """The stages behind some rows, each once, in the order in which they build on each other."""
        keys = dict.fromkeys(key for row in rows for key in self.chains.get(row["key"], ()))
        found = [self.stages[key] for key in keys]
        return sorted(found, key=lambda stage: ORDER.index(stage.kind))

    def behind(self, cell: TableCell) -> list[Record]:
        """The rows that a cell's value was made from."""
        return self.rows_of(cell.keys, cell.where)

    def compared(self, cell: TableCell) -> list[Record]:
        """The rows that a cell's difference is to."""
        return self.rows_of(cell.against, cell.where)

    def lacking(self, cell: TableCell) -> list[Record]:
        """The rows that a cell ought to have, and that have no value."""
        return [row for row in self.rows_of(cell.gaps, cell.where) if row["status"] != "done"]


def seed_means(rows: Iterable[Record]) -> list[SeedMean]:
    """What each seed contributes, metric by metric, where it is the mean of several rows."""
    groups: dict[tuple[str, int | None, int | None], list[float]] = defaultdict(list)
    for row in rows:
        if row["status"] == "done" and row["value"] is not None:
            groups[row["metric"], row.get("align_seed"), row.get("seed")].append(row["value"])
    if all(len(values) < 2 for values in groups.values()):
        return []
    return [
        SeedMean(*seeds, fsum(values) / len(values), len(values))
        for seeds, values in groups.items()
    ]


def read_provenance(
    store: Store, run: RunRecord, frame: "pd.DataFrame", name: str = ""
) -> Provenance:
    """Reads what the store knows of a run's stages; ``name`` is the run's, for the page's head.

    ``run`` is what was planned, ``frame`` its tidy results. What is damaged or absent is said to be.
    """
    chains: dict[str, tuple[str, ...]] = {}
    kinds: dict[str, str] = {}
    for cell in run.cells:
        of_cell = {kind: key for kind in KINDS if (key := getattr(cell, kind)) is not None}
        last = of_cell.get("score") or of_cell.get("probe")
        if last is not None:
            chains[last] = tuple(of_cell.values())
            kinds |= {key: kind for kind, key in of_cell.items()}
    rows: dict[str, list[Record]] = defaultdict(list)
    for record in records(frame):
        if record["key"] is not None:
            rows[record["key"]].append(record)
    stages = {key: _stage(store, kind, key) for key, kind in kinds.items()}
    about = (("run", name),) if name else ()
    return Provenance((*about, *_about(frame, stages.values())), dict(rows), chains, stages)


def joined(first: Provenance, second: Provenance) -> Provenance:
    """Two runs as one, for a comparison of them; the heads of both, one after the other."""
    return Provenance(
        (*first.about, *second.about),
        {**first.rows, **second.rows},
        {**first.chains, **second.chains},
        {**first.stages, **second.stages},
    )


def records(frame: "pd.DataFrame") -> list[Record]:
    """The rows of a results table with plain numbers, and None for every kind of null."""
    clean = frame.astype(object).where(frame.notna(), None)
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in clean.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _stage(store: Store, kind: str, key: str) -> StageRecord:
    status = store.status(kind, key)
    measured = status.get("measured", {})
    return StageRecord(
        kind,
        key,
        status.get("state", "absent"),
        _content(store, kind, key, "spec.json", status),
        _content(store, kind, key, "env.json", status),
        status.get("started"),
        measured.get("seconds"),
        measured.get("memory"),
        status.get("error"),
    )


def _content(
    store: Store, kind: str, key: str, name: str, status: Mapping[str, Any]
) -> dict[str, Any]:
    """A JSON file of a stage; nothing where it was never written, a word where it is damaged."""
    if name not in status.get("files", {}):
        return {}
    try:
        content: dict[str, Any] = parse_json(
            store.file(kind, key, name).read_text(encoding="utf-8")
        )
    except XbenchError as error:
        return {"damaged": str(error)}
    return content


def _about(frame: "pd.DataFrame", stages: Iterable[StageRecord]) -> tuple[tuple[str, str], ...]:
    """Suite, encoder, how many rows have a value, devices, versions, and the time it all took."""
    stages = list(stages)
    counts = Counter(frame["status"])
    seconds = fsum(stage.seconds or 0.0 for stage in stages)
    texts = {
        "suite": _listed(frame["suite"].dropna()),
        "encoder": _listed(frame["model"].dropna()),
        "rows": ", ".join(f"{count} {status}" for status, count in sorted(counts.items())),
        "stages": str(len(stages)),
        "device": _listed(s.environment["device"] for s in stages if "device" in s.environment),
        "versions": ", ".join(
            f"{library} {found}"
            for library in ("xbench", "torch")
            if (found := _listed(s.environment.get(library) for s in stages))
        ),
        "time of all stages": f"{seconds / 60:.1f} minutes" if seconds else "",
    }
    return tuple((name, text) for name, text in texts.items() if text)


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values if value is not None}))
