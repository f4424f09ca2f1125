"""Named entities, inference and paraphrases: labels, levels, metrics, and what they refuse."""

from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any

import pytest

from xbench.api import LabelledPair, Language, Source, TaggedSentence, Task
from xbench_tasks.ner import NamedEntities
from xbench_tasks.pawsx import Paraphrase
from xbench_tasks.xnli import Inference

GERMAN = Language(code="deu", name="German", script="Latn")
SENTENCE = TaggedSentence(("Ada", "Lovelace", "rechnet"), ("B-PER", "I-PER", "O"), "1")
PREMISE = LabelledPair("Sie rechnet.", "Sie schläft.", "contradiction", "1")
TWO = LabelledPair("Sie rechnet.", "Gerechnet hat sie.", "paraphrase", "1")
CASES = [(NamedEntities, SENTENCE), (Inference, PREMISE), (Paraphrase, TWO)]


class Shelf(Source):
    """A source of given records."""

    def __init__(self, *records: Any) -> None:
        super().__init__()
        self.records = records

    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        yield from self.records


@pytest.mark.parametrize(("kind", "record"), CASES)
def test_examples_come_from_the_source_as_they_are(kind: type[Task], record: Any) -> None:
    assert list(kind().examples(Shelf(record), GERMAN, "test")) == [record]
    assert set(kind.gold(record)) <= set(kind.labels)


@pytest.mark.parametrize(
    ("kind", "record", "said"),
    [
        (NamedEntities, TaggedSentence(("1815",), ("B-DATE",), "7"), "'7'.*'B-DATE'.*I-LOC"),
        (Inference, LabelledPair("a", "b", "-", "8"), "'8'.*'-'.*contradiction"),
        (Paraphrase, LabelledPair("a", "b", "1", "9"), "'9'.*'1'.*paraphrase"),
    ],
)
def test_an_unknown_label_is_an_error_that_names_the_item(
    kind: type[Task], record: Any, said: str
) -> None:
    with pytest.raises(ValueError, match="(?s)" + said):
        list(kind().examples(Shelf(record), GERMAN, "test"))


def test_levels_and_labels() -> None:
    assert (NamedEntities.level, Inference.level, Paraphrase.level) == ("span", "pair", "pair")
    kinds = {label.partition("-")[2] for label in NamedEntities.labels} - {""}
    expected = {"O", *(f"{prefix}-{kind}" for prefix in "BI" for kind in kinds)}
    assert kinds == {"PER", "ORG", "LOC"}
    assert set(NamedEntities.labels) == expected
    assert len(NamedEntities.labels) == 7


@pytest.mark.parametrize(("kind", "record"), CASES)
def test_task_and_metrics_are_installed_and_fit_each_other(kind: type[Task], record: Any) -> None:
    tasks = {entry.load() for entry in entry_points(group="xbench.tasks")}
    assert kind in tasks
    metrics = {entry.name: entry for entry in entry_points(group="xbench.metrics")}
    for name in kind.metrics:
        metric = metrics[name].load()(kind.labels)
        gold = [tuple(kind.gold(record)), (kind.labels[-1],)]
        assert metric.aggregate(metric.items(gold, gold).sum(axis=0)) == 1.0
