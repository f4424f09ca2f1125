"""A probe measures one checkpoint; changes and correlations are the report's business."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class Probe:
    """Measures representations or gradients of one checkpoint and yields rows of results.

    A row is a mapping of columns of the tidy results table: at least ``metric`` and ``value``, with
    ``language``, ``pair``, ``layer`` and ``n`` where they apply.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()

    def measure(self, view: Any) -> Iterable[Mapping[str, Any]]:
        """Rows for the checkpoint behind ``view``."""
        raise NotImplementedError
