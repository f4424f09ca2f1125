"""Named entities and paraphrases of clone languages: parallel, deterministic, labelled exactly."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from xbench.api import LabelledPair, MissingData, TaggedSentence
from xbench_plugins.clones.entities import KINDS
from xbench_plugins.clones.labelled import CloneEntities, CloneParaphrases
from xbench_plugins.clones.languages import LANGUAGES, QAA, QAC, QAG, QAJ
from xbench_plugins.clones.lexicon import TOPICS, inventory
from xbench_plugins.clones.sources import CloneTopics, CloneTreebank
from xbench_plugins.clones.translate import vocabulary
from xbench_plugins.metrics.span_f1 import spans
from xbench_tasks.ner import NamedEntities
from xbench_tasks.pawsx import Paraphrase

SOURCES = [CloneEntities, CloneParaphrases]
PLAIN = replace(QAA, agglutination=0.0)


@pytest.mark.parametrize("kind", SOURCES)
def test_splits_have_their_sizes_and_repeat(kind):
    for split, size in kind.sizes.items():
        records = list(kind().read([QAC], split))
        assert len(records) == len({record.id for record in records}) == size
        assert list(kind(**{split: 9}).read([QAC], split)) == records[:9]
    with pytest.raises(MissingData, match="no split 'validation'"):
        kind().read([QAC], "validation")


@pytest.mark.parametrize("kind", SOURCES)
def test_fingerprints_tell_corpora_apart(kind):
    others = (CloneTreebank, CloneTopics, *SOURCES)
    prints = [json.dumps(each().fingerprint([QAC], "test"), sort_keys=True) for each in others]
    assert len(set(prints)) == len(prints)
    assert kind().fingerprint([QAC], "test") != kind().fingerprint([QAA], "test")


@pytest.mark.parametrize(
    ("kind", "task"), [(CloneEntities, NamedEntities), (CloneParaphrases, Paraphrase)]
)
def test_the_labels_are_the_tasks_and_each_is_frequent(kind, task):
    records = list(task().examples(kind(), QAA, "train"))
    counts = Counter(label for record in records for label in task.gold(record))
    assert set(counts) == set(task.labels)
    assert min(counts.values()) > 250


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)
def test_every_language_says_the_same_with_the_same_labels(language):
    ours, source = (list(CloneEntities(test=60).read([each], "test")) for each in (language, QAA))
    for here, there in zip(ours, source, strict=True):
        assert isinstance(here, TaggedSentence)
        kinds = [
            sorted((kind, end - start) for kind, start, end in spans(each.tags))
            for each in (here, there)
        ]
        assert kinds[0] == kinds[1]
        assert kinds[0]
    pairs, others = (list(CloneParaphrases(test=60).read([x], "test")) for x in (language, QAA))
    assert [pair.label for pair in pairs] == [pair.label for pair in others]


def test_a_name_is_tagged_by_what_it_is_the_name_of():
    forms = vocabulary(PLAIN).forms
    kinds = {
        forms[concept]: kind
        for topic, kind in KINDS.items()
        for concept in inventory()["PROPN", topic]
    }
    assert set(KINDS) == {"", *TOPICS}
    for sentence in CloneEntities(test=200).read([PLAIN], "test"):
        expected = [kinds.get(word) for word in sentence.words]
        assert [tag.partition("-")[2] or None for tag in sentence.tags] == expected


@pytest.mark.parametrize("language", [QAA, QAC, QAG, QAJ], ids=lambda language: language.code)
def test_the_words_of_a_name_stand_side_by_side(language):
    lengths = Counter(
        end - start
        for sentence in CloneEntities(test=200).read([language], "test")
        for _, start, end in spans(sentence.tags)
    )
    assert set(lengths) == {1, 2}
    assert not any(
        tag.startswith("I-") and before[2:] != tag[2:]
        for sentence in CloneEntities(test=200).read([language], "test")
        for before, tag in zip(("O", *sentence.tags), sentence.tags, strict=False)
    )


@pytest.mark.parametrize("language", [QAA, QAG], ids=lambda language: language.code)
def test_a_paraphrase_has_the_same_words_in_another_order(language):
    whole = replace(language, agglutination=0.0)
    pairs = list(CloneParaphrases(test=300).read([whole], "test"))
    reordered = 0
    for pair in pairs:
        assert isinstance(pair, LabelledPair)
        words, others = Counter(pair.text.split()), Counter(pair.second.split())
        assert (words == others) == (pair.label == "paraphrase")
        assert words.total() == others.total()
        reordered += pair.label == "paraphrase" and pair.text != pair.second
    assert reordered > 100


def test_no_sentence_is_in_two_splits():
    for kind in SOURCES:
        seen = [
            {str(getattr(r, "text", None) or r.words) for r in kind().read([QAA], split)}
            for split in kind.sizes
        ]
        assert not seen[0] & seen[1]
        assert not seen[0] & seen[2]
        assert not seen[1] & seen[2]
