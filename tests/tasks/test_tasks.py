"""The built-in tasks: labels, metrics, and what they refuse."""

from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any

import pytest

from xbench.api.examples import LabelledText, ParallelText, TaggedSentence
from xbench.api.language import Language
from xbench.api.source import Source
from xbench.api.task import Task
from xbench_tasks.pos import PartOfSpeech
from xbench_tasks.retrieval import Tatoeba
from xbench_tasks.topic import Topic

GERMAN = Language(code="deu", name="German", script="Latn")


class Shelf(Source):
    """A source of given records that remembers what it was asked for."""

    def __init__(self, *records: Any) -> None:
        super().__init__()
        self.records = records

    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        self.asked = ([language.code for language in languages], split)
        yield from self.records


SENTENCE = TaggedSentence(("Hunde", "bellen", "."), ("NOUN", "VERB", "PUNCT"), "s1")
TEXT = LabelledText("Das Tor fiel spät.", "sports", "t1")


def test_tatoeba_searches_from_and_into_english_or_not_at_all() -> None:
    """Its metrics are called by direction: with another source language they would be misnamed."""
    english = Language(code="eng", name="English", script="Latn")
    pair = ParallelText("The goal came late.", TEXT.text)
    assert list(Tatoeba().pairs(Shelf(pair), [english, GERMAN], "test")) == [pair]
    with pytest.raises(ValueError, match="English, and the source language is deu"):
        list(Tatoeba().pairs(Shelf(pair), [GERMAN, english], "test"))


@pytest.mark.parametrize(("task", "record"), [(PartOfSpeech(), SENTENCE), (Topic(), TEXT)])
def test_examples_come_from_the_source_as_they_are(task: Task, record: Any) -> None:
    source = Shelf(record)
    assert list(task.examples(source, GERMAN, "test")) == [record]
    assert source.asked == (["deu"], "test")
    assert set(task.gold(record)) <= set(task.labels)


@pytest.mark.parametrize(
    ("task", "record", "message"),
    [
        (PartOfSpeech(), TaggedSentence(("a", "b"), ("NOUN", "NN"), "de-7"), "'de-7'.*'NN'.*PROPN"),
        (PartOfSpeech(), TaggedSentence(("a",), ("_",), "de-8"), "'de-8'.*'_'.*PartOfSpeech"),
        (Topic(), LabelledText("x", "weather", "t9"), "'t9'.*'weather'.*geography"),
    ],
)
def test_an_unknown_label_is_an_error_that_names_the_sentence(
    task: Task, record: Any, message: str
) -> None:
    first = SENTENCE if isinstance(task, PartOfSpeech) else TEXT
    examples = task.examples(Shelf(first, record), GERMAN, "test")
    assert next(examples) == first
    with pytest.raises(ValueError, match="(?s)" + message):
        next(examples)


def test_labels_are_upos_and_sib200s() -> None:
    assert len(set(PartOfSpeech.labels)) == len(PartOfSpeech.labels) == 17
    assert PartOfSpeech.labels == tuple(sorted(PartOfSpeech.labels))
    assert len(set(Topic.labels)) == len(Topic.labels) == 7
    assert (PartOfSpeech.level, Topic.level) == ("token", "sentence")


@pytest.mark.parametrize("task", [PartOfSpeech, Topic])
def test_metrics_are_installed_and_accept_the_labels(task: type[Task]) -> None:
    installed = {entry.name: entry for entry in entry_points(group="xbench.metrics")}
    for name in task.metrics:
        metric = installed[name].load()(task.labels)
        gold = [(label,) for label in task.labels]
        assert metric.aggregate(metric.items(gold, gold).sum(axis=0)) == 1.0
