"""What a page shows of a cell when it is opened: rows, seeds and stages, each written once."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from xbench.report.render.element import Html
from xbench.report.results.provenance import Provenance, Record, StageRecord, seed_means
from xbench.report.table import Column, Table, TableCell, TableRow

OF_A_ROW = ("metric", "language", "layer", "seed", "value", "n", "status", "reason")
SHARED = (
    *("suite", "model", "arm", "objective", "variant", "pair", "align_step", "align_seed"),
    *("task", "mode", "split", "probe"),
)
"""Columns of the results table: those that a row is listed by, and those that many rows share."""


class PageData:
    """Collects cells while a page is written. Whatever occurs often is referred to by its number.

    The stages of many cells have the same data, settings and device, so that a spec is kept as
    field -> number of its value.
    """

    def __init__(self, provenance: Provenance) -> None:
        self.provenance = provenance
        self._cells: list[dict[str, Any]] = []
        self._rows: dict[int, int] = {}
        self._row_contents: list[dict[str, Any]] = []
        self._stages: dict[str, int] = {}
        self._stage_contents: list[dict[str, Any]] = []
        self._values: dict[str, int] = {}

    def add(self, table: Table, row: TableRow, column: Column, cell: TableCell) -> int:
        """Adds a cell; returns its number."""
        behind = self.provenance.behind(cell)
        change = cell.difference
        content = {
            "table": table.title,
            "place": [*row.group, row.label, *column.group, column.label],
            "text": [cell.text, *cell.details],
            "status": cell.status,
            "value": cell.value,
            "n": cell.n,
            "spread": cell.spread,
            "difference": change and [change.mean, change.low, change.high, change.n],
            "rows": self._numbers(behind),
            "seeds": [[m.metric, m.align_seed, m.seed, m.value, m.n] for m in seed_means(behind)],
            "against": self._numbers(self.provenance.compared(cell)),
            "gaps": self._numbers(self.provenance.lacking(cell)),
        }
        self._cells.append(_without_nothing(content))
        return len(self._cells) - 1

    def json(self) -> Html:
        """All of it for a script element: JSON in which no character means anything to HTML."""
        content = {
            "cells": self._cells,
            "rows": self._row_contents,
            "stages": self._stage_contents,
            "values": [json.loads(value) for value in self._values],
        }
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        for char in "<>&":
            text = text.replace(char, f"\\u{ord(char):04x}")
        return Html(text)

    def _numbers(self, rows: Sequence[Record]) -> list[int]:
        return [self._row(row) for row in rows]

    def _row(self, row: Record) -> int:
        if id(row) not in self._rows:
            stages = self.provenance.stages_of([row])
            content = {name: row.get(name) for name in OF_A_ROW}
            content["at"] = self._value({name: row.get(name) for name in SHARED})
            content["stages"] = [self._stage(stage) for stage in stages]
            self._rows[id(row)] = len(self._row_contents)
            self._row_contents.append(_without_nothing(content))
        return self._rows[id(row)]

    def _stage(self, stage: StageRecord) -> int:
        if stage.key not in self._stages:
            content = {
                "kind": stage.kind,
                "key": stage.key,
                "state": stage.state,
                "spec": {name: self._value(value) for name, value in stage.spec.items()},
                "environment": self._value(stage.environment) if stage.environment else None,
                "started": stage.started,
                "seconds": stage.seconds,
                "memory": stage.memory,
                "error": stage.error,
            }
            self._stages[stage.key] = len(self._stage_contents)
            self._stage_contents.append(_without_nothing(content))
        return self._stages[stage.key]

    def _value(self, value: Any) -> int:
        if isinstance(value, dict) and set(value) == set(SHARED):
            value = _without_nothing(value)
        text = json.dumps(value, sort_keys=False)
        return self._values.setdefault(text, len(self._values))


def _without_nothing(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if not _is_nothing(value)}


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, Iterable) and not value)
