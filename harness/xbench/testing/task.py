"""What a task must keep to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, get_args

from xbench.api.examples import LabelledPair, LabelledText, ParallelText, TaggedSentence
from xbench.api.language import Language
from xbench.api.source import Source
from xbench.api.task import Level, Task
from xbench.discovery import discovery
from xbench.testing.contract import expect, fail
from xbench.testing.definition import Documented

LANGUAGES = (Language("qzy", "One", "Latn"), Language("qzz", "Two", "Latn"))
WORD_LEVELS = ("token", "span")


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

    ``source()`` gives the data; override it where the task converts what a source of its own
    yields. Then no example with an unknown label is tried.
    """

    kind = "task"
    group = "tasks"
    task: ClassVar[str | type[Task]]

    def source(self) -> Source:
        """Items that fit the task's level, with its labels."""
        return ToySource(self.loaded.level, self.loaded.labels)

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
        """It yields the source's items, with labels that it knows."""
        task: Task = self.loaded()
        if task.level == "retrieval":
            pairs = list(task.pairs(self.source(), LANGUAGES, "test"))
            expect(
                pairs and all(isinstance(pair, ParallelText) for pair in pairs),
                f"pairs() gives {pairs[:1]}",
                "yield xbench.api.ParallelText",
            )
            return
        examples = list(task.examples(self.source(), LANGUAGES[0], "test"))
        expect(examples, "examples() yields nothing", "yield what source.read() gives")
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
        task: Task = self.loaded()
        read = task.examples if task.level != "retrieval" else task.pairs
        languages: Any = LANGUAGES[0] if task.level != "retrieval" else LANGUAGES
        first, second = (list(read(self.source(), languages, "test")) for _ in range(2))
        expect(
            first == second,
            "the examples are others the second time",
            "keep nothing from call to call, and draw nothing without a fixed seed",
        )

    def test_unknown_label(self) -> None:
        """A label that it does not know is an error that names the item."""
        task: Task = self.loaded()
        if task.level == "retrieval" or type(self).source is not TaskContract.source:
            return
        strange = ToySource(task.level, ["no label at all"])
        try:
            examples = list(task.examples(strange, LANGUAGES[0], "test"))
        except ValueError as error:
            expect(
                "item-0" in str(error),
                f"the error {str(error)!r} does not say which item is meant",
                "put example.id into the message",
            )
            return
        if any(set(task.gold(example)) - set(task.labels) for example in examples):
            fail(
                "an item with an unknown label got through",
                "raise ValueError naming the item, as Task.examples does (call super().examples)",
            )
