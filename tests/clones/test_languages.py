"""Clone languages as settings: the ten of the suite, and bad knobs."""

import json
from collections import Counter

import pytest

from xbench.api import Language
from xbench.catalogue.registry import load_registry
from xbench_plugins.clones.language import CloneLanguage
from xbench_plugins.clones.languages import ALIGNED_PAIRS, LANGUAGES, QAA

GROUPS = load_registry().suite("mini").retrieval_groups
BY_CODE = {language.code: language for language in LANGUAGES}
IN_ALIGNED_PAIRS = {code for pair in ALIGNED_PAIRS for code in pair}


def test_ten_languages_with_codes_of_iso_639s_private_range():
    assert list(BY_CODE) == [f"qa{letter}" for letter in "abcdefghij"]
    assert all(isinstance(language, Language) for language in LANGUAGES)


def test_the_source_has_neutral_knobs():
    neutral = CloneLanguage("qaa", "neutral")
    assert QAA.knobs() == neutral.knobs()


def test_scripts_relate_as_in_the_study():
    script = {code: language.script for code, language in BY_CODE.items()}
    assert script["qaa"] == script["qab"] == script["qaf"] == script["qag"]
    assert script["qac"] == script["qah"]
    own = Counter(script.values())
    assert all(own[script[code]] == 1 for code in ("qad", "qae", "qai", "qaj"))


def test_groups_are_of_the_kind_that_their_names_say():
    for group in GROUPS.values():
        name = group.label
        for first, second in (pair.split("-") for pair in group.pairs):
            aligned = {first, second} & IN_ALIGNED_PAIRS - {"qaa"}
            assert bool(aligned) == ("non-aligned" not in name), (name, first, second)
            if "pivot" in name:
                assert (second == "qaa") == ("without" not in name)
            if "script" in name:
                same = BY_CODE[first].script == BY_CODE[second].script
                assert same == ("same script" in name), (name, first, second)


def test_no_pair_is_in_two_groups_and_every_language_is_in_some():
    pairs = [frozenset(pair.split("-")) for group in GROUPS.values() for pair in group.pairs]
    assert len(pairs) == len(set(pairs))
    assert frozenset().union(*pairs) == set(BY_CODE)


def test_knobs_can_be_written_as_json_and_are_all_there():
    for language in LANGUAGES:
        assert CloneLanguage(name="", **json.loads(json.dumps(language.knobs()))) == CloneLanguage(
            name="", **language.knobs()
        )


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("shared_vocabulary", 1.1),
        ("agglutination", -0.1),
        ("noise", 2),
        ("noise", float("nan")),
        ("script", "Hang"),
        ("word_order", "OSV"),
    ],
)
def test_a_bad_knob_is_named(knob, value):
    with pytest.raises(ValueError, match=rf"qtz: {knob.replace('_', '.')}"):
        CloneLanguage("qtz", "Z", **{knob: value})
