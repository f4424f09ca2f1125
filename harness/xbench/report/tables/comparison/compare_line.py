"""One line of a comparison of two runs: an encoder's cell of each run, and their difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xbench.report.results.averages import CellAverage, average, difference
from xbench.report.results.results import Block, Run
from xbench.report.style import Style
from xbench.report.table import Difference, TableCell, TableRow
from xbench.report.tables.comparison.compare import Pairing, Place
from xbench.report.tables.wording import (
    ABSENT,
    DAGGER,
    PLUS_MINUS,
    decimal,
    gap,
    percent,
    signed,
    signed_decimal,
)

OF_A_LINE = ("objective", "variant", "pair", "align_step", "split", "layer")
ALWAYS = ("objective", "variant", "pair", "layer")
CONTROLS = ("none", "shuffled")
WORDS = {"align_step": "step", "layer": "layer", "split": "split"}
"""What is written before a value, where the value alone says too little."""
DECIMALS = 3
"""Of what probes measure, which is no percentage."""


@dataclass(frozen=True)
class ComparedLine:
    """One place that both runs have."""

    pairing: Pairing
    place: Place
    style: Style

    @property
    def of_a_probe(self) -> bool:
        return self.pairing.at(self.place, "probe") is not None

    @property
    def languages(self) -> list[str]:
        """Those that both runs were asked for, the source language first."""
        mine, other = ({code for code, _ in block} for block in self.blocks)
        source = self.style.source_language
        return sorted(mine & other, key=lambda code: (code != source, str(code)))

    @property
    def runs(self) -> list[Run]:
        """The seeds that both runs were asked for, of alignment and of fine-tuning."""
        mine, other = ({run for _, run in block} for block in self.blocks)
        return sorted(mine & other, key=lambda run: (run.align_seed or 0, run.seed))

    @property
    def blocks(self) -> tuple[Block, Block]:
        """What each run has in this place."""
        mine, other = self.pairing.blocks
        return mine[self.place], other[self.place]

    @cached_property
    def sides(self) -> tuple[CellAverage, CellAverage]:
        """The averages of both runs over what both were asked for."""
        return self.over(self.languages)

    def over(self, languages: Sequence[str]) -> tuple[CellAverage, CellAverage]:
        """The averages of both runs over some languages."""
        mine, other = (
            average(block, languages, self.runs, self.style.allow_partial) for block in self.blocks
        )
        return mine, other

    @property
    def header(self) -> TableRow:
        """Below the task, mode and metric, or the probe and metric: which encoder it is."""
        at = {name: self.pairing.at(self.place, name) for name in self.pairing.coordinates}
        group = ", ".join(
            str(at[name]) for name in ("probe", "task", "mode") if at.get(name) is not None
        )
        arm = str(at.get("arm") or "")
        words = [
            *([arm] if arm == "none" else []),
            *(self._word(name, at[name]) for name in OF_A_LINE if self._says(at, name)),
            *([arm] if arm == "shuffled" else []),
            *(["(control)"] if arm in CONTROLS else []),
        ]
        return TableRow(" ".join(words) or arm, (f"{group}: {at['metric']}",), arm in CONTROLS)

    def _says(self, at: Mapping[str, Any], name: str) -> bool:
        """Whether a coordinate is worth a word: not where it is the same of all encoders."""
        return at.get(name) is not None and (name in ALWAYS or self.pairing.varies(name))

    def _word(self, name: str, value: Any) -> str:
        return f"{WORDS.get(name, '')} {value}".strip()

    def where(self, languages: Sequence[str]) -> tuple[tuple[str, tuple[object, ...]], ...]:
        """Which rows of the store's keys are meant."""
        metric = ("metric", (self.pairing.at(self.place, "metric"),))
        layer = ("layer", (self.pairing.at(self.place, "layer"),))
        return (metric, ("language", tuple(languages)), *([layer] if self.of_a_probe else []))

    def number(self, found: CellAverage) -> TableCell:
        """The average of one run."""
        where = self.where(found.expected_languages)
        if not found.shown:
            return TableCell(gap(found), found.status, gaps=found.gap_keys, where=where)
        mean, sd = found.mean_sd()
        text = self._written(mean) + ("" if sd is None else f" {PLUS_MINUS} {self._written(sd)}")
        return TableCell(
            text + (DAGGER if found.status == "partial" else ""),
            found.status,
            mean,
            len(found.runs),
            sd,
            keys=found.keys,
            gaps=found.gap_keys,
            where=where,
        )

    def change(self, sides: tuple[CellAverage, CellAverage]) -> TableCell:
        """The second run less the first."""
        mine, other = sides
        where = self.where(mine.expected_languages)
        found = difference(other, mine)
        if found is None:
            lacking = next((side for side in sides if not side.shown), None)
            if lacking is None:
                return TableCell(ABSENT, "absent")
            gaps = (*mine.gap_keys, *other.gap_keys)
            return TableCell(gap(lacking), lacking.status, gaps=gaps, where=where)
        partial = "partial" in (mine.status, other.status)
        return TableCell(
            self._signed(found.mean) + (DAGGER if partial else ""),
            "partial" if partial else "done",
            found.mean,
            found.n,
            difference=found,
            details=self._interval(found),
            keys=other.keys,
            against=mine.keys,
            gaps=(*mine.gap_keys, *other.gap_keys),
            where=where,
        )

    def _interval(self, found: Difference) -> tuple[str, ...]:
        if found.low is None or found.high is None:
            return ()
        return (f"[{self._signed(found.low)}, {self._signed(found.high)}]",)

    def _written(self, value: float) -> str:
        return decimal(value, DECIMALS) if self.of_a_probe else percent(value)

    def _signed(self, value: float) -> str:
        if self.of_a_probe:
            return signed_decimal(value, DECIMALS)
        return signed(value)
