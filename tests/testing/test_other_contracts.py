"""The contracts of transforms, merges, aligners, metrics, tasks and languages find faults."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xbench.api import Aligner, LabelledText, Language, Merge, Metric, Task, Transform
from xbench.testing import (
    AlignerContract,
    Contract,
    LanguageContract,
    MergeContract,
    MetricContract,
    TaskContract,
    TransformContract,
)

from .failures import failures


class Shift(Transform):
    """Moves means: ``x - mu_L + mu_S``, [D] (Name et al. 2020)."""

    def fit(self, view: Any) -> None:
        home_D = view.vectors(view.source).mean(0)
        self.fitted = {code: home_D - view.vectors(code).mean(0) for code in view.languages}

    def forward(self, states: Tensor, language: str) -> Tensor:
        return states + self.fitted[language].to(states)


class FitsNothing(Shift):
    def fit(self, view: Any) -> None:
        super().fit(view)
        self.elsewhere, self.fitted = self.fitted, {}

    def forward(self, states: Tensor, language: str) -> Tensor:
        return states + self.elsewhere[language].to(states)


class FitsAtRandom(Shift):
    def fit(self, view: Any) -> None:
        super().fit(view)
        self.fitted["noise"] = torch.rand(3)


class FitsNan(Shift):
    def fit(self, view: Any) -> None:
        super().fit(view)
        self.fitted["nan"] = torch.tensor(torch.nan)


class LosesBatch(Shift):
    def forward(self, states: Tensor, language: str) -> Tensor:
        return super().forward(states.reshape(-1, states.shape[-1]), language)


class Raises(Shift):
    """To float32."""

    def forward(self, states: Tensor, language: str) -> Tensor:
        return super().forward(states.float(), language)


class InPlace(Shift):
    def forward(self, states: Tensor, language: str) -> Tensor:
        return states.add_(self.fitted[language].to(states))


class Remembers(Shift):
    """Its scale is an attribute, and no part of what is saved."""

    scale = 1.0

    def fit(self, view: Any) -> None:
        super().fit(view)
        self.scale = 1.05

    def forward(self, states: Tensor, language: str) -> Tensor:
        return super().forward(states, language) * self.scale


class Lenient(Shift):
    def forward(self, states: Tensor, language: str) -> Tensor:
        return super().forward(states, language) if language in self.fitted else states


class Backwards(Shift):
    def forward(self, states: Tensor, language: str) -> Tensor:
        return states - self.fitted[language].to(states)


class ToZero(Shift):
    """Puts every language around a far point of its own making."""

    def fit(self, view: Any) -> None:
        self.fitted = {code: 20 - view.vectors(code).mean(0) for code in view.languages}


class Mean(Merge):
    """The mean of snapshots, ``sum_i theta_i / k`` (Name et al. 2020)."""

    def steps(self, steps: int) -> list[int]:
        return sorted({max(1, steps // 2), steps})

    def combine(self, snapshots: Any) -> dict[str, Tensor]:
        found = list(snapshots)
        return {
            name: torch.stack([each[name] for each in found]).mean(0)
            if value.is_floating_point()
            else value
            for name, value in found[-1].items()
        }


class FromZero(Mean):
    def steps(self, steps: int) -> list[int]:
        return [0, steps]


class NoShortTraining(Mean):
    def steps(self, steps: int) -> list[int]:
        return [steps // 3] if steps >= 3 else []


class SumOnly(Mean):
    def combine(self, snapshots: Any) -> dict[str, Tensor]:
        found = list(snapshots)
        return {
            name: sum((each[name] for each in found[1:]), value) for name, value in found[0].items()
        }


class AddsInPlace(Mean):
    def combine(self, snapshots: Any) -> dict[str, Tensor]:
        found = list(snapshots)
        first = found[0]
        for other in found[1:]:
            for name, value in other.items():
                if value.is_floating_point():
                    first[name] += value
        return {n: v / len(found) if v.is_floating_point() else v for n, v in first.items()}


class Dictionary(Aligner):
    """Links words that the dictionary has."""

    needs = frozenset({"dictionary"})

    def align(self, pair: Any) -> list[tuple[int, int]]:
        return [
            (i, j)
            for i, word in enumerate(pair.source.words)
            for j, other in enumerate(pair.target.words)
            if other in pair.dictionary.get(word, ())
        ]


class NoDepth(Dictionary):
    needs = frozenset({"states"})


class FromOne(Dictionary):
    def align(self, pair: Any) -> list[tuple[int, int]]:
        return [(i + 1, j + 1) for i, j in super().align(pair)]


class Unsorted(Dictionary):
    def align(self, pair: Any) -> list[tuple[int, int]]:
        return super().align(pair)[::-1]


class Twice(Dictionary):
    def align(self, pair: Any) -> list[tuple[int, int]]:
        return sorted(super().align(pair) * 2)


class Moody(Dictionary):
    def align(self, pair: Any) -> list[tuple[int, int]]:
        return [link for link in super().align(pair) if random.random() < 0.8]


class NoEmpty(Dictionary):
    def align(self, pair: Any) -> list[tuple[int, int]]:
        assert pair.source.words[0]
        assert pair.target.words[0]
        return super().align(pair)


class Diagonal(Dictionary):
    """Words at the same place."""

    needs = frozenset()

    def align(self, pair: Any) -> list[tuple[int, int]]:
        return [(n, n) for n in range(min(len(pair.source.words), len(pair.target.words)))]


class KnowsPlaces(Dictionary):
    def align(self, pair: Any) -> list[tuple[int, int]]:
        return [(i, j) for i, j in super().align(pair) if abs(i - j) < 4]


class AdmitsPlaces(KnowsPlaces):
    uses_places = True


class Exact(Metric):
    """Share of items that are right."""

    def items(self, gold: Any, predicted: Any) -> Any:
        right = [list(one) == list(other) for one, other in zip(gold, predicted, strict=True)]
        return np.array([(value, 1) for value in right], dtype=np.float64).reshape(-1, 2)

    def aggregate(self, sums: Any) -> Any:
        right, every = np.moveaxis(sums, -1, 0)
        return np.divide(right, every, out=np.full_like(every, np.nan), where=every > 0)


class Flat(Exact):
    def items(self, gold: Any, predicted: Any) -> Any:
        return super().items(gold, predicted)[:, 0]


class Whole(Exact):
    """Each item contributes the share of the whole test set."""

    def items(self, gold: Any, predicted: Any) -> Any:
        found = super().items(gold, predicted)
        return found / max(len(found), 1)


class OneSum(Exact):
    def aggregate(self, sums: Any) -> Any:
        return super().aggregate(sums.reshape(-1, 2).sum(0))


class Errors(Exact):
    """Less is better, and it does not say so."""

    def aggregate(self, sums: Any) -> Any:
        return 1 - super().aggregate(sums)


class ErrorsSaid(Errors):
    higher_is_better = False


class Positional(Exact):
    def items(self, gold: Any, predicted: Any) -> Any:
        return super().items(gold, predicted) * np.arange(len(gold))[:, None] ** [2, 1]


class ZeroForNothing(Exact):
    def aggregate(self, sums: Any) -> Any:
        return np.nan_to_num(super().aggregate(sums))


class Moods(Task):
    """Whether a text is glad."""

    labels = ("glad", "sad")


class LabelTwice(Moods):
    labels = ("glad", "sad", "glad")


class OneLabel(Moods):
    labels = ("glad",)


class StrangeLevel(Moods):
    level = "paragraph"  # type: ignore[assignment]


class StrangeMetric(Moods):
    metrics = ("applause",)


class Converting(Moods):
    """Texts of an even length are glad."""

    def examples(self, source: Any, language: Language, split: str) -> Iterator[Any]:
        for record in source.read([language], split):
            label = self.labels[len(record.text) % 2]
            yield LabelledText(record.text, label, record.id)


class Mislabelling(Converting):
    def examples(self, source: Any, language: Language, split: str) -> Iterator[Any]:
        for record in super().examples(source, language, split):
            yield LabelledText(record.text, "angry", record.id)


class Dicing(Converting):
    def examples(self, source: Any, language: Language, split: str) -> Iterator[Any]:
        for record in super().examples(source, language, split):
            yield LabelledText(record.text, random.choice(self.labels), record.id)


class Silent(Converting):
    def examples(self, source: Any, language: Language, split: str) -> Iterator[Any]:
        yield from ()


class ConvertingContract(TaskContract):
    """With data that the task can convert."""

    def data(self) -> Any:
        from xbench.testing.task import LANGUAGES, ToySource

        return ToySource("sentence", ["one", "two", "three", "four"] * 3), LANGUAGES


TONGUE = Language("tng", "Tongue", "Latn")


@dataclass(frozen=True)
class Fault:
    """A plugin, the check that it fails, and a part of what is said."""

    contract: type[Contract]
    plugin: Any
    check: str
    message: str

    def __str__(self) -> str:
        return str(getattr(self.plugin, "__name__", self.plugin))


FAULTS = [
    Fault(TransformContract, FitsNothing, "test_fit", "nothing in fitted"),
    Fault(TransformContract, FitsAtRandom, "test_fit", "fixed seed"),
    Fault(TransformContract, FitsNan, "test_fit", "no finite tensor"),
    Fault(TransformContract, LosesBatch, "test_shape", "states [8] of torch.float32 became [1, 8]"),
    Fault(TransformContract, Raises, "test_shape", "torch.bfloat16 became"),
    Fault(TransformContract, InPlace, "test_shape", "changed its argument"),
    Fault(TransformContract, Remembers, "test_saved", "moved elsewhere"),
    Fault(TransformContract, Lenient, "test_unknown_language", "raise keyerror"),
    Fault(TransformContract, Backwards, "test_brings_nearer", "without the transform"),
    Fault(TransformContract, ToZero, "test_source_language", "further than languages are apart"),
    Fault(MergeContract, FromZero, "test_steps", "of 1 steps it asks for [0, 1]"),
    Fault(MergeContract, NoShortTraining, "test_steps", "of 1 steps it asks for []"),
    Fault(MergeContract, SumOnly, "test_equal_snapshots", "2 equal snapshots give another"),
    Fault(MergeContract, AddsInPlace, "test_finite", "twice the same"),
    Fault(AlignerContract, NoDepth, "test_declaration", "add a setting depth"),
    Fault(AlignerContract, FromOne, "test_links", "count words from 0"),
    Fault(AlignerContract, Unsorted, "test_links", "sorted(set(links))"),
    Fault(AlignerContract, Twice, "test_links", "sorted(set(links))"),
    Fault(AlignerContract, Moody, "test_links", "others the second time"),
    Fault(AlignerContract, NoEmpty, "test_empty", "IndexError"),
    Fault(AlignerContract, Diagonal, "test_finds_translations", "are right"),
    Fault(AlignerContract, KnowsPlaces, "test_order_of_words", "uses_places = True"),
    Fault(MetricContract, Flat, "test_items", "float64 [12]"),
    Fault(MetricContract, Whole, "test_items", "when it is alone"),
    Fault(MetricContract, OneSum, "test_aggregate", "along the last axis"),
    Fault(MetricContract, Errors, "test_best", "higher_is_better"),
    Fault(MetricContract, Positional, "test_order", "in reverse"),
    Fault(MetricContract, ZeroForNothing, "test_nothing", "the value of no items is 0.0"),
    Fault(TaskContract, LabelTwice, "test_declaration", "glad twice"),
    Fault(TaskContract, OneLabel, "test_declaration", "fewer than two"),
    Fault(TaskContract, StrangeLevel, "test_declaration", "'paragraph'"),
    Fault(TaskContract, StrangeMetric, "test_declaration", "('applause',)"),
    Fault(ConvertingContract, Mislabelling, "test_examples", "gives angry"),
    Fault(ConvertingContract, Silent, "test_examples", "no examples"),
    Fault(ConvertingContract, Dicing, "test_same_examples", "others the second time"),
    Fault(LanguageContract, Language, "test_code", "not its class"),
    Fault(LanguageContract, Language("german", "German", "Latn"), "test_code", "'german'"),
    Fault(LanguageContract, Language("deu", "German", "latin"), "test_code", "'latin'"),
    Fault(LanguageContract, Language("deu", "", "Latn"), "test_code", "no name"),
    Fault(
        LanguageContract, Language("deu", "German", "Latn", iso639_1="ger"), "test_code", "'ger'"
    ),
    Fault(
        LanguageContract,
        Language("tng", "Tongue", "Latn", resources={"sib200": ""}),
        "test_resources",
        "map names of sources",
    ),
    Fault(
        LanguageContract,
        Language("tng", "Tongue", "Latn", distances={"syntactic": 2.0}),
        "test_resources",
        "from 0 to 1",
    ),
    Fault(
        LanguageContract,
        Language("tng", "Tongue", "Latn", distances={"syntactic": torch.nan}),
        "test_as_json",
        "cannot be kept",
    ),
]


@pytest.mark.parametrize(
    ("contract", "plugin"),
    [
        (TransformContract, Shift),
        (MergeContract, Mean),
        (AlignerContract, Dictionary),
        (AlignerContract, AdmitsPlaces),
        (MetricContract, Exact),
        (MetricContract, ErrorsSaid),
        (TaskContract, Moods),
        (ConvertingContract, Converting),
        (LanguageContract, TONGUE),
    ],
    ids=str,
)
def test_a_good_plugin_passes(contract: type[Contract], plugin: Any) -> None:
    found = failures(contract, plugin)
    found.pop("test_documentation", None)  # of subclasses
    assert found == {}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_found(fault: Fault) -> None:
    found = failures(fault.contract, fault.plugin, fault.check)
    assert fault.message.lower() in found[fault.check].lower()
