"""Lexicons and scripts: what is shared, what is not, and nothing by accident."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench_plugins.clones.language import CloneLanguage
from xbench_plugins.clones.languages import LANGUAGES, QAA, QAC, QAH
from xbench_plugins.clones.lexicon import SOURCE, inventory, private_lexicon
from xbench_plugins.clones.scripts import SCRIPTS, letters, transliterate
from xbench_plugins.clones.translate import vocabulary

STEMS = {
    concept: stem
    for concept, stem in private_lexicon(SOURCE).items()
    if concept.upos not in {"NUM", "PUNCT"}
}


def test_scripts_have_as_many_symbols_as_the_source_and_none_in_common():
    assert {len(set(letters(script))) for script in SCRIPTS} == {len(letters("Latn"))}
    for one, two in itertools.combinations(SCRIPTS, 2):
        assert not set(letters(one)) & set(letters(two))


@pytest.mark.parametrize("script", SCRIPTS)
def test_transliteration_keeps_stems_apart(script):
    written = {transliterate(stem, script) for stem in STEMS.values()}
    assert len(written) == len(set(STEMS.values()))
    assert set("".join(written)) <= set(letters(script))


def test_private_lexicons_share_no_stem_with_the_source():
    for code in ("qab", "qaj", "qtz"):
        own = private_lexicon(code)
        assert not {own[concept] for concept in STEMS} & set(STEMS.values())


def test_some_stems_are_ambiguous_between_parts_of_speech_but_most_are_not():
    meanings = {}
    for concept, stem in STEMS.items():
        meanings.setdefault(stem, []).append(concept.upos)
    ambiguous = [classes for classes in meanings.values() if len(classes) > 1]
    assert 5 <= len(ambiguous) <= 0.15 * len(STEMS)
    assert all(len(set(classes)) == len(classes) for classes in ambiguous)


def test_ambiguity_of_words_in_a_sentence_of_the_source_is_real():
    assert any(
        STEMS[verb] == STEMS[noun]
        for verb in STEMS
        for noun in STEMS
        if verb.upos == "VERB" and noun.upos == "NOUN"
    )


@given(share=st.floats(0, 1), more=st.floats(0, 1))
def test_shared_stems_are_the_share_of_each_class_and_grow_with_it(share, more):
    small, large = sorted((share, more))
    kept_small = _kept(CloneLanguage("qtz", "Z", shared_vocabulary=small))
    kept_large = _kept(CloneLanguage("qtz", "Z", shared_vocabulary=large))
    assert kept_small <= kept_large
    for group in inventory().values():
        if set(group) <= set(STEMS):
            assert abs(len(kept_small & set(group)) - small * len(group)) <= 0.5


def _kept(language):
    forms = vocabulary(language).forms
    return {concept for concept in STEMS if forms[concept] == STEMS[concept]}


def test_stems_shared_by_two_languages_of_a_script_look_alike():
    one, two = vocabulary(QAC).forms, vocabulary(QAH).forms
    alike = [concept for concept in STEMS if one[concept] == two[concept]]
    assert alike
    assert all(one[concept] == transliterate(STEMS[concept], "Cyrl") for concept in alike)


def test_every_language_of_the_suite_writes_in_its_script():
    for language in LANGUAGES:
        forms = vocabulary(language).forms
        used = set("".join(forms[concept] for concept in STEMS))
        assert used <= set(letters(language.script))


def test_agglutination_turns_its_share_of_function_words_into_suffixes():
    assert not vocabulary(QAA).suffixes
    every = vocabulary(CloneLanguage("qtz", "Z", agglutination=1.0)).suffixes
    assert {concept.upos for concept in every} == {"ADP", "AUX", "DET", "PART"}
    some = vocabulary(CloneLanguage("qtz", "Z", agglutination=0.5)).suffixes
    assert set() < some < every
