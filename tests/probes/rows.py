"""Rows of probes, by name."""

from collections.abc import Iterable

from xbench.api.probe import Row


def by_name(rows: Iterable[Row]) -> dict[tuple[str, str | None, int | None], Row]:
    """(metric, language, layer) -> row; no two rows are of the same."""
    found: dict[tuple[str, str | None, int | None], Row] = {}
    for row in rows:
        place = row.metric, row.language, row.layer
        assert place not in found, f"{place} is measured twice"
        found[place] = row
    return found


def table(rows: Iterable[Row], layer: int) -> dict[tuple[str, str | None], float]:
    """(metric, language) -> value at a layer, where it is defined."""
    return {
        (metric, language): row.value
        for (metric, language, where), row in by_name(rows).items()
        if where == layer and row.value is not None
    }
