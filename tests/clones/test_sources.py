"""Sources: splits, sizes, fingerprints, and what they refuse."""

import json
from dataclasses import fields, replace

import pytest

from xbench.api import LabelledText, Language, MissingData, ParallelText, TaggedSentence
from xbench_plugins.clones.languages import QAA, QAB, QAC
from xbench_plugins.clones.sources import CloneBitext, CloneDictionary, CloneTopics, CloneTreebank
from xbench_plugins.clones.translate import vocabulary

GERMAN = Language("deu", "German", "Latn")
CASES = [
    (CloneTreebank, [QAC], TaggedSentence),
    (CloneTopics, [QAC], LabelledText),
    (CloneBitext, [QAA, QAC], ParallelText),
]


@pytest.mark.parametrize(("kind", "languages", "record"), CASES)
def test_every_split_has_its_size_and_its_kind_of_record(kind, languages, record):
    assert not kind.needs_place
    for split, size in kind.sizes.items():
        records = list(kind().read(languages, split))
        assert len(records) == size
        assert all(isinstance(each, record) for each in records)
        assert len({each.id for each in records}) == size


@pytest.mark.parametrize(("kind", "languages", "record"), CASES)
def test_an_option_sets_the_size_of_a_split(kind, languages, record):
    source = kind(train=7)
    assert len(list(source.read(languages, "train"))) == 7
    assert source.fingerprint(languages, "train")["count"] == 7
    with pytest.raises(ValueError, match="size of train"):
        kind(train="many").read(languages, "train")


@pytest.mark.parametrize(("kind", "languages", "record"), CASES)
def test_other_languages_are_missing_data(kind, languages, record):
    others = [*languages[:-1], GERMAN]
    for ask in (kind().read, kind().fingerprint):
        with pytest.raises(MissingData, match="deu"):
            ask(others, "test")


@pytest.mark.parametrize(("kind", "languages", "record"), CASES)
def test_an_unknown_split_is_missing_data_and_the_message_lists_the_others(kind, languages, record):
    for ask in (kind().read, kind().fingerprint):
        with pytest.raises(MissingData, match=r"'validation'.*train, dev, test"):
            ask(languages, "validation")


def test_the_number_of_languages_is_checked():
    with pytest.raises(ValueError, match="reads 2 language"):
        CloneBitext().read([QAA], "train")
    with pytest.raises(ValueError, match="reads 1 language"):
        CloneTreebank().read([QAA, QAB], "train")


@pytest.mark.parametrize(("kind", "languages", "record"), CASES)
def test_fingerprints_change_with_everything_that_changes_the_content(kind, languages, record):
    changes = [
        {"script": "Geor"},
        {"word_order": "VSO"},
        {"shared_vocabulary": 0.5},
        {"agglutination": 0.1},
        {"noise": 0.5},
        {"code": "qaz"},
    ]
    assert {name for change in changes for name in change} == set(QAC.knobs())
    variants = [[*languages[:-1], replace(QAC, **change)] for change in changes]
    prints = [kind().fingerprint(each, "test") for each in (languages, *variants)]
    prints.append(kind().fingerprint(languages, "dev"))
    prints.append(kind(test=9).fingerprint(languages, "test"))
    assert len({json.dumps(each, sort_keys=True) for each in prints}) == len(prints)


def test_fingerprints_ignore_what_does_not_change_the_content():
    shown = {field.name for field in fields(Language)} - {"code", "script", "word_order"}
    assert shown == {"name", "family", "iso639_1", "resources", "stand_in", "distances"}
    other = {"name": "another", "family": "none", "iso639_1": "zz", "resources": {"x": "y"}}
    renamed = replace(QAC, **other, stand_in={"x": "z"}, distances={"syntactic": 0.3})
    assert CloneTopics().fingerprint([QAC], "test") == CloneTopics().fingerprint([renamed], "test")


def test_a_whole_number_as_a_knob_is_the_same_setting():
    one, same = replace(QAC, agglutination=1), replace(QAC, agglutination=1.0)
    prints = [CloneTopics().fingerprint([each], "test") for each in (one, same)]
    assert json.dumps(prints[0]) == json.dumps(prints[1])


def test_fingerprints_of_the_three_corpora_differ():
    assert CloneTopics().fingerprint([QAC], "test") != CloneTreebank().fingerprint([QAC], "test")


def test_the_dictionary_has_free_words_only():
    suffixes = vocabulary(QAC).suffixes
    entries = {(one.source, one.target) for one in CloneDictionary().read([QAA, QAC], "train")}
    one, two = vocabulary(QAA).forms, vocabulary(QAC).forms
    expected = {(one[concept], two[concept]) for concept in one if concept not in suffixes}
    assert entries == expected
    assert entries < {(one[concept], two[concept]) for concept in one}


def test_the_dictionary_of_a_language_and_itself_is_the_identity():
    assert all(one.source == one.target for one in CloneDictionary().read([QAA, QAA], "train"))


def test_the_dictionary_refuses_other_languages():
    with pytest.raises(MissingData, match="deu"):
        list(CloneDictionary().read([QAA, GERMAN], "train"))
