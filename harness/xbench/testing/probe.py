"""What a probe must keep to."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from xbench.api.probe import Probe, Row
from xbench.testing.contract import expect
from xbench.testing.definition import Configured, Documented
from xbench.testing.toys.probe_view import LAYERS, ToyProbeView

NEEDS = ("dictionary", "gradients")
KNOWN = {*ToyProbeView.languages, *ToyProbeView.missing}


class ProbeContract(Documented, Configured):
    """``class TestMine(ProbeContract): probe = "mine"``.

    The probe sees a checkpoint with parallel text in three made-up languages, with what its
    ``needs`` name and nothing else.
    """

    kind = "probe"
    group = "probes"
    needs_sources: ClassVar[bool] = False
    probe: ClassVar[str | type[Probe]]

    def test_declaration(self) -> None:
        """It says what it needs and which depths it reads."""
        needs = self.loaded.needs
        expect(
            set(needs) <= set(NEEDS) and not isinstance(needs, str),
            f"needs is {needs!r}",
            f"make it a frozenset of some of {', '.join(NEEDS)}; it may be empty",
        )
        for of, probe in self._probes():
            depths = list(probe.depths())
            expect(
                all(isinstance(depth, int | float) and 0 <= depth <= 1 for depth in depths),
                f"depths() gives {depths} ({of})",
                "a depth lies from 0 (embeddings) to 1 (last layer)",
            )

    def test_rows(self) -> None:
        """It yields rows: a name, a finite value or a reason, and what they are of."""
        for of, probe in self._probes():
            rows = _measured(probe)
            expect(rows, f"measure() yields nothing ({of})", "yield at least one Row")
            for row in rows:
                _check_row(row, of)
            names = [(row.metric, row.language, row.layer) for row in rows]
            twice = sorted({str(name) for name in names if names.count(name) > 1})
            expect(
                not twice,
                f"there are several rows of {', '.join(twice[:3])} ({of})",
                "metric, language and layer together name a value: put what differs into the metric",
            )

    def test_repetition(self) -> None:
        """Measured twice, a checkpoint has the same values."""
        for of, probe in self._probes():
            first, second = (
                [(row.metric, row.language, row.layer, row.value) for row in _measured(each)]
                for each in (probe, self.loaded(probe.config))
            )
            expect(
                first == second,
                f"the values are others the second time ({of})",
                "draw random numbers from a generator with a fixed seed",
            )

    def test_collapse(self) -> None:
        """Of an encoder for which everything is the same there are rows too, none of them NaN."""
        for of, probe in self._probes():
            rows = _measured(probe, collapsed=True)
            expect(rows, f"a collapsed encoder has no rows ({of})", "give a Row with a reason")
            for row in rows:
                _check_row(row, f"{of}, a collapsed encoder")

    def _probes(self) -> Iterator[tuple[str, Any]]:
        for variant, config in self.configurations().items():
            yield f"configuration {variant!r}", self.loaded(config)


def _measured(probe: Probe, collapsed: bool = False) -> Sequence[Row]:
    return list(probe.measure(ToyProbeView(probe.needs, probe.depths(), collapsed)))


def _check_row(row: Any, of: str) -> None:
    expect(isinstance(row, Row), f"a {type(row).__name__} is no row ({of})", "yield xbench.api.Row")
    what = f"the row {row.metric} of {row.language}, layer {row.layer} ({of})"
    expect(
        isinstance(row.metric, str) and row.metric,
        f"a row has the metric {row.metric!r} ({of})",
        "name what is measured",
    )
    expect(
        row.value is not None or row.reason,
        f"{what} has neither a value nor a reason",
        "say in reason why there is no value",
    )
    expect(
        row.value is None or (isinstance(row.value, int | float) and math.isfinite(row.value)),
        f"{what} has the value {row.value!r}",
        "give a finite number, or None and a reason where it is undefined",
    )
    known = row.language is None or set(row.language.split("-")) <= KNOWN
    expect(
        known,
        f"{what} names no language of the view",
        "take a code of view.languages or view.missing, or a pair of them",
    )
    expect(
        row.layer is None or (type(row.layer) is int and 0 <= row.layer <= LAYERS),
        f"{what} names no layer",
        "take view.layer(depth)",
    )
    if row.items is not None and row.value is not None:
        expect(
            isinstance(row.items, Tensor)
            and row.items.dim() == 1
            and torch.isclose(
                row.items.double().mean(), torch.tensor(row.value).double(), atol=1e-5
            ),
            f"{what} is {row.value:.6g}, which is not the mean of its items",
            "give items [n] whose mean is the value, or none",
        )
