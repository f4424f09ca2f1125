"""What a task must keep to."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, get_args

from xbench.api.examples import LabelledPair, LabelledText, ParallelText, TaggedSentence
from xbench.api.language import Language
from xbench.api.source import Source
from xbench.api.task import Level, Task
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.discovery import discovery
from xbench.testing.contract import expect, skip
from xbench.testing.definition import Documented

LANGUAGES = (Language("qzy", "One", "Latn"), Language("qzz", "Two", "Latn"))
WORD_LEVELS = ("token", "span")
MOST = 200  # examples that are looked at


class ToySource(Source):
    """Items of a level, labelled with each of the given labels in turn."""

    needs_place = False

    def __init__(self, level: str, labels: Sequence[str]) -> None:
        super().__init__()
        self.level, self.labels = level, tuple(labels)

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        """What decides the content."""
        codes = [language.code for language in languages]
        return {
            "languages": codes,
            "split": split,
            "level": self.level,
            "labels": list(self.labels),
        }

    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        """As many items as there are labels, at least three."""
        for number in range(max(3, len(self.labels))):
            label = self.labels[number % len(self.labels)] if self.labels else ""
            yield self._item(number, label)

    def _item(self, number: int, label: str) -> Any:
        text, name = f"word{number} word{number + 1}", f"item-{number}"
        if self.level in WORD_LEVELS:
            return TaggedSentence(tuple(text.split()), (label, label), name)
        if self.level == "pair":
            return LabelledPair(text, text, label, name)
        if self.level == "retrieval":
            return ParallelText(text, text, name)
        return LabelledText(text, label, name)


class TaskContract(Documented):
    """``class TestMine(TaskContract): task = "mine"``.

    A task that converts what a source of its own yields is tried on the data that a suite binds to
    it, or on what ``data()`` gives.
    """

    kind = "task"
    group = "tasks"
    task: ClassVar[str | type[Task]]

    def data(self) -> tuple[Source, Sequence[Language]]:
        """A source with a split ``test``, and languages that it has: two at level retrieval."""
        kind = self.loaded
        if (kind.examples, kind.pairs) == (Task.examples, Task.pairs):
            return ToySource(kind.level, kind.labels), LANGUAGES
        return _bound(self.task)

    def test_declaration(self) -> None:
        """Level, labels and metrics are ones that there are."""
        level, labels, metrics = self.loaded.level, self.loaded.labels, self.loaded.metrics
        expect(
            level in get_args(Level),
            f"level is {level!r}",
            f"choose one of {', '.join(get_args(Level))}",
        )
        expect(
            isinstance(labels, tuple) and all(isinstance(label, str) for label in labels),
            f"labels is {labels!r}",
            "make it a tuple of strings; its order is that of the classes",
        )
        twice = sorted({label for label in labels if labels.count(label) > 1})
        expect(not twice, f"labels has {', '.join(twice)} twice", "write each label once")
        expect(
            level == "retrieval" or len(labels) > 1,
            f"labels has {len(labels)} classes",
            "there is nothing to learn with fewer than two",
        )
        known = discovery.table.names("metrics")
        unknown = [metric for metric in metrics if metric not in known]
        expect(
            isinstance(metrics, tuple) and metrics and not unknown,
            f"metrics is {metrics!r}",
            f"make it a tuple of installed metrics: {', '.join(known)}",
        )

    def test_examples(self) -> None:
        """It yields items of its level, with labels that it knows."""
        examples = self._examples()
        expect(examples, "there are no examples", "yield what source.read() gives, or a part of it")
        if self.loaded.level == "retrieval":
            expect(
                all(isinstance(pair, ParallelText) for pair in examples),
                f"pairs() yields {examples[0]}",
                "yield xbench.api.ParallelText",
            )
            return
        task: Task = self.loaded()
        for example in examples:
            gold = tuple(task.gold(example))
            wanted = len(example.words) if task.level in WORD_LEVELS else 1
            expect(
                len(gold) == wanted,
                f"gold() of {example} gives {gold}",
                "give one label for each word at the levels token and span, else a single one",
            )
            unknown = sorted(set(gold) - set(task.labels))
            expect(
                not unknown,
                f"gold() gives {', '.join(unknown)}, which labels does not have",
                "add it to labels, or convert it in examples()",
            )

    def test_same_examples(self) -> None:
        """Read twice, the examples are the same."""
        expect(
            self._examples() == self._examples(),
            "the examples are others the second time",
            "keep nothing from call to call, and draw nothing without a fixed seed",
        )

    def _examples(self) -> list[Any]:
        task: Task = self.loaded()
        source, languages = self.data()
        if task.level == "retrieval":
            return list(islice(task.pairs(source, list(languages), "test"), MOST))
        return list(islice(task.examples(source, languages[0], "test"), MOST))


def _bound(name: Any) -> tuple[Source, Sequence[Language]]:
    """What a suite binds to the task, opened for the suite's languages; skips where that fails."""
    catalogue = Catalogue.installed()
    lacking = (
        "no suite binds data to it here: run this in the folder of the xbench-registry.yaml that "
        "does, or name that file in XBENCH_REGISTRY"
    )
    for suite in catalogue.registry.suites.values():
        binding = suite.tasks.get(name) if isinstance(name, str) else None
        if binding is None:
            continue
        kind = discovery.table.get("sources", binding.source).load()
        place = os.environ.get("XBENCH_DATA") if kind.needs_place else None
        if kind.needs_place and place is None:
            lacking = f"{binding.source} reads a data folder: name one in the variable XBENCH_DATA"
            continue
        source = kind(Path(place) if place else None, **binding.options)
        codes = dict.fromkeys([suite.source_language, *suite.languages])
        return source, [catalogue.languages.get(code) for code in codes][:2]
    return skip(f"it converts records, and {lacking}")
