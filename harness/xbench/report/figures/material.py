"""What figures are drawn from: the results of a run, its losses, and where sentences lie on maps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xbench.report.results.background import Background
from xbench.report.results.probe_rows import Condition, Measure, Place, ProbeResults
from xbench.report.results.results import ComparedEncoder, Results
from xbench.report.style import Style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curve:
    """The losses of one training, by name and in order of ``steps``.

    Of an alignment ``condition`` is (None, None) and ``seed`` that of the alignment; of a
    fine-tuning they are its (task, mode) and its own seed. Trainings that differ in seeds alone are
    drawn as one.
    """

    encoder: ComparedEncoder
    condition: Condition
    seed: int | None
    steps: tuple[int, ...]
    losses: Mapping[str, tuple[float, ...]]


Items = Mapping[tuple[Measure, Place], Sequence[float]]
"""What each item (a sentence) of one measurement contributed, in the order of items."""


@dataclass(frozen=True)
class Material:
    """Everything that a figure may show; what a run does not have is None or empty.

    ``mapped`` is what probes measured for the first alignment seed alone, where there are several.
    """

    results: Results | None = None
    probes: ProbeResults | None = None
    background: Background = field(default_factory=Background)
    style: Style = field(default_factory=Style)
    curves: Sequence[Curve] = ()
    items: Items = field(default_factory=dict)
    mapped: ProbeResults | None = None

    @property
    def about(self) -> str:
        """The sentence that ends a caption."""
        of = self.results or self.probes
        return f"Suite {of.suite}, model {of.model}." if of else ""


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn: its file's ``name``, and what stands around the picture.

    ``draw`` is called as often as the figure is wanted, and gives the same picture every time.
    """

    name: str
    title: str
    caption: str
    draw: "Callable[[], Figure]"


@dataclass(frozen=True)
class Lacking:
    """A figure that cannot be drawn, and why."""

    title: str
    reason: str
