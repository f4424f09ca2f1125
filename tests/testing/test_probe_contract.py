"""The contract of probes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from xbench.api import Probe, Row
from xbench.testing import ProbeContract

from .failures import failures


class Margin(Probe):
    """How much nearer translations are than other sentences."""

    @dataclass(frozen=True)
    class Config:
        depths: tuple[float, ...] = (0.5, 1.0)

    def measure(self, view: Any) -> Iterator[Row]:
        for depth in self.config.depths:
            for code in view.languages[1:]:
                u_ND, v_ND = (normalize(x, dim=-1) for x in view.pair((code, view.source), depth))
                cosine_NN = u_ND @ v_ND.T
                items_N = cosine_NN.diagonal() - cosine_NN.mean(1)
                yield self.row(code, view.layer(depth), items_N)

    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("margin", float(items_N.mean()), f"{code}-one", layer, len(items_N), "", items_N)


class Nothing(Margin):
    def measure(self, view: Any) -> Iterator[Row]:
        yield from ()


class NoRow(Margin):
    def measure(self, view: Any) -> Any:
        return [{"metric": "margin", "value": 1.0}]


class SameName(Margin):
    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("margin", 1.0, None, layer)


class WrongItems(Margin):
    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("margin", 7.0, code, layer, len(items_N), items=items_N)


class OtherLanguage(Margin):
    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("margin", 1.0, f"{code} and one", layer)


class DepthForLayer(Margin):
    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("margin", 1.0, code, layer / 4)  # type: ignore[arg-type]


class NoReason(Margin):
    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("margin", None, code, layer)


class AtRandom(Margin):
    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("margin", float(torch.rand(())), code, layer)


class Ratio(Margin):
    """Divides by the spread, which is zero where all is the same."""

    def row(self, code: str, layer: int, items_N: Any) -> Row:
        return Row("ratio", float(items_N.mean() / items_N.std()), code, layer)


class OtherDepths(Margin):
    def depths(self) -> tuple[float, ...]:
        return (1.0,)


class UndeclaredGradients(Margin):
    def measure(self, view: Any) -> Iterator[Row]:
        yield Row("norm", float(len(view.gradients.of_objective(0, 2))))


class NeedsMoney(Margin):
    needs = frozenset({"money"})


class TooDeep(Margin):
    def depths(self) -> tuple[float, ...]:
        return (12,)


FAULTS = {
    NeedsMoney: ("test_declaration", "money"),
    TooDeep: ("test_declaration", "a depth lies from 0"),
    Nothing: ("test_rows", "yields nothing"),
    NoRow: ("test_rows", "a dict is no row"),
    SameName: ("test_rows", "several rows"),
    WrongItems: ("test_rows", "not the mean of its items"),
    OtherLanguage: ("test_rows", "no language of the view"),
    DepthForLayer: ("test_rows", "names no layer"),
    NoReason: ("test_rows", "neither a value nor a reason"),
    OtherDepths: ("test_rows", "none of those that depths() declares"),
    UndeclaredGradients: ("test_rows", "needs = frozenset({'gradients'})"),
    AtRandom: ("test_repetition", "fixed seed"),
    Ratio: ("test_collapse", "nan"),
}


class WithGradients(Margin):
    """Reads all that there is."""

    needs = frozenset({"dictionary", "gradients"})

    def measure(self, view: Any) -> Iterator[Row]:
        u_KD, v_KD = view.words(("two", "one"), 1.0, "context")
        yield Row("words", float((u_KD - v_KD).norm()), "two-one", view.layer(1.0), len(u_KD))
        gradients = view.gradients
        for part in range(2):
            of_task = gradients.of_task("two", part, 2)
            for name, gradient in of_task.items():
                layer, kind = gradients.module_of(name)
                yield Row(f"{kind} {name} {part}", float(gradient.norm()), "two", layer)


@pytest.mark.parametrize("probe", [Margin, WithGradients])
def test_a_good_probe_passes(probe: type[Probe]) -> None:
    assert failures(ProbeContract, probe) == {}


@pytest.mark.parametrize("probe", FAULTS, ids=lambda probe: probe.__name__)
def test_a_fault_is_found(probe: type[Probe]) -> None:
    check, message = FAULTS[probe]
    assert message.lower() in failures(ProbeContract, probe, check)[check].lower()
