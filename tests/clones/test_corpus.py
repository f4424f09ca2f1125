"""Corpora: deterministic, parallel by index, disjoint between splits, with exact word links."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.data.words import words_of as harness_words
from xbench_plugins.clones import corpus
from xbench_plugins.clones.language import WORD_ORDERS, CloneLanguage
from xbench_plugins.clones.languages import LANGUAGES, QAA, QAB, QAC, QAD, QAJ
from xbench_plugins.clones.lexicon import TOPICS
from xbench_plugins.clones.scripts import SCRIPTS
from xbench_plugins.clones.translate import vocabulary

KNOBS = st.builds(
    CloneLanguage,
    code=st.sampled_from(["qka", "qkb"]),
    name=st.just("K"),
    script=st.sampled_from(SCRIPTS),
    word_order=st.sampled_from(WORD_ORDERS),
    shared_vocabulary=st.sampled_from([0.0, 0.3, 1.0]),
    agglutination=st.sampled_from([0.0, 0.5, 1.0]),
    noise=st.sampled_from([0.0, 0.3]),
)


def words_of(language, split="test", count=60):
    return [sentence.words for sentence in corpus.treebank(language, split, count)]


def test_a_clone_with_neutral_knobs_is_the_source():
    clone = CloneLanguage("qtz", "Z")
    for split in ("train", "dev", "test"):
        assert list(corpus.treebank(clone, split, 50)) == list(corpus.treebank(QAA, split, 50))
        texts = list(corpus.topic_texts(clone, split, 50))
        assert texts == list(corpus.topic_texts(QAA, split, 50))


def test_the_first_sentences_are_those_written_down_here():
    """A change of the generated text must raise ``GENERATOR_VERSION``."""
    assert corpus.GENERATOR_VERSION == 1
    first = [" ".join(words_of(language, count=1)[0]) for language in (QAA, QAC, QAJ)]
    assert first == [
        "ve putal vol huhzip ge tet heba .",
        "кор федафок фиву харревол путал .",
        "ⵍⵉⴱⴰ ⵀⴰ ⵀⴻⵏ ⴷⵄⴷⵄ ⴳⵉⴽ ⴱⴰⴷⴻⴼⵓ ⵎⵀ .",
    ]


@given(KNOBS)
@settings(max_examples=25, deadline=None)
def test_a_shorter_read_begins_the_longer_one_and_both_repeat(language):
    longer = list(corpus.treebank(language, "test", 20))
    assert list(corpus.treebank(language, "test", 8)) == longer[:8]
    assert list(corpus.treebank(replace(language), "test", 20)) == longer


@given(KNOBS)
@settings(max_examples=40, deadline=None)
def test_translations_have_the_topics_and_tags_of_the_source(language):
    for source, clone in zip(
        corpus.topic_texts(QAA, "test", 20), corpus.topic_texts(language, "test", 20), strict=True
    ):
        assert (source.label, source.id) == (clone.label, clone.id)
    suffixed = {concept.upos for concept in vocabulary(language).suffixes}
    for source, clone in zip(
        corpus.treebank(QAA, "test", 20), corpus.treebank(language, "test", 20), strict=True
    ):
        missing = Counter(source.tags) - Counter(clone.tags)
        assert not Counter(clone.tags) - Counter(source.tags)
        assert set(missing) <= suffixed


@given(KNOBS, KNOBS)
@settings(max_examples=40, deadline=None)
def test_links_stay_inside_the_sentences_and_leave_no_word_out(first, second):
    for pair in corpus.parallel_text(first, second, "test", 15):
        source, target = pair.source.split(), pair.target.split()
        assert {link[0] for link in pair.links} == set(range(len(source)))
        assert {link[1] for link in pair.links} == set(range(len(target)))


@given(KNOBS, KNOBS)
@settings(max_examples=20, deadline=None)
def test_links_of_the_other_direction_are_the_same_links(first, second):
    there = corpus.parallel_text(first, second, "test", 10)
    back = corpus.parallel_text(second, first, "test", 10)
    for one, two in zip(there, back, strict=True):
        assert sorted((target, source) for source, target in two.links) == list(one.links)


@pytest.mark.parametrize("language", [QAB, QAJ], ids=lambda language: language.code)
def test_every_link_joins_translations_according_to_the_dictionary(language):
    """Without suffixes and noise each word is linked to one word, its entry in the dictionary."""
    plain = replace(language, agglutination=0.0, noise=0.0)
    entries = set(corpus.dictionary(QAA, plain))
    for pair in corpus.parallel_text(QAA, plain, "train", 200):
        source, target = pair.source.split(), pair.target.split()
        assert len(pair.links) == len(source) == len(target)
        assert all((source[one], target[two]) in entries for one, two in pair.links)


def test_links_to_an_agglutinating_language_join_each_word_to_the_word_that_contains_it():
    """The reference is the vocabulary: a linked word has the translation's form inside it."""
    forms = vocabulary(QAC).forms
    translations: dict[str, set[str]] = {}
    for concept, stem in vocabulary(QAA).forms.items():
        translations.setdefault(stem, set()).add(forms[concept])
    several = 0
    for pair in corpus.parallel_text(QAA, QAC, "train", 200):
        source, target = pair.source.split(), pair.target.split()
        for one, two in pair.links:
            assert any(form in target[two] for form in translations[source[one]])
        several += len(pair.links) > len(target)
        assert len(pair.links) == len(source)
    assert several > 100


def test_languages_of_different_scripts_have_only_numerals_and_punctuation_in_common():
    one = {word for words in words_of(QAC) for word in words}
    two = {word for words in words_of(QAD) for word in words}
    common = one & two
    assert common
    assert all(not word.isalpha() for word in common)


def test_no_meaning_of_one_partition_occurs_in_another():
    """Read in the source language, where different meanings may look alike but equal ones must."""
    train = {" ".join(words) for words in words_of(QAA, "train", 2000)}
    train |= {text.text for text in corpus.topic_texts(QAA, "train", 2000)}
    parallel = {pair.source for pair in corpus.parallel_text(QAA, QAA, "train", 4000)}
    text = {line for language in LANGUAGES for line in _as_source(language, 1000)}
    dev = {" ".join(words) for words in words_of(QAA, "dev", 200)}
    test = {" ".join(words) for words in words_of(QAA, "test", 512)}
    test |= {text.text for text in corpus.topic_texts(QAA, "test", 512)}
    parts = {"train": train, "parallel": parallel, "text": text, "dev": dev, "test": test}
    for name, sentences in parts.items():
        others = set().union(*(part for other, part in parts.items() if other != name))
        assert not sentences & others, name


def _as_source(language, count):
    """The monolingual text of ``language``, in the words of the source."""
    return corpus.monolingual_text(CloneLanguage(language.code, language.name), count)


def test_monolingual_text_is_not_parallel():
    one, two = list(_as_source(QAB, 2000)), list(_as_source(QAC, 2000))
    assert not [line for line, other in zip(one, two, strict=True) if line == other]
    assert len(set(one) & set(two)) < 0.01 * 2000, "more than chance explains"


def test_sentences_have_the_shape_that_the_tasks_need():
    sentences = list(corpus.treebank(QAA, "train", 2000))
    lengths = [len(sentence.words) for sentence in sentences]
    assert sum(5 <= length <= 14 for length in lengths) > 0.8 * len(lengths)
    tags = Counter(tag for sentence in sentences for tag in sentence.tags)
    assert len(tags) == 13
    assert max(tags.values()) < 0.3 * sum(tags.values())
    labels = Counter(text.label for text in corpus.topic_texts(QAA, "train", 2000))
    assert set(labels) == set(TOPICS)
    assert min(labels.values()) > 200


def test_agglutination_makes_fewer_and_longer_words():
    def words(agglutination):
        language = replace(QAC, agglutination=agglutination)
        return [word for words in words_of(language) for word in words]

    none, some, all_ = words(0.0), words(0.5), words(1.0)
    assert len(none) > len(some) > len(all_)
    assert len("".join(none)) == len("".join(some)) == len("".join(all_))


def test_noise_misspells_its_share_of_words_by_one_letter():
    clean = [word for words in words_of(QAB, count=300) for word in words if word.isalpha()]
    noisy_language = replace(QAB, noise=0.2)
    noisy = [w for words in words_of(noisy_language, count=300) for w in words if w.isalpha()]
    changed = [(one, two) for one, two in zip(clean, noisy, strict=True) if one != two]
    assert len(changed) / len(clean) == pytest.approx(0.2, abs=0.03)
    for one, two in changed:
        assert sum(a != b for a, b in zip(one, two, strict=True)) == 1


def test_inverted_order_is_the_source_back_to_front():
    inverted = CloneLanguage("qtz", "Z", word_order="inverted")
    for source, clone in zip(words_of(QAA), words_of(inverted), strict=True):
        assert clone == (*source[-2::-1], source[-1])


@pytest.mark.parametrize(("order", "expected"), [("SVO", "SVO"), ("SOV", "SOV"), ("VSO", "VSO")])
def test_subject_verb_and_object_stand_where_the_order_says(order, expected):
    """Found by tags in sentences of three content words: name, verb, noun."""
    language = CloneLanguage("qtz", "Z", word_order=order)
    seen = set()
    for sentence in corpus.treebank(language, "train", 2000):
        roles = {"PROPN": "S", "VERB": "V", "NOUN": "O"}
        core = "".join(roles.get(tag, "") for tag in sentence.tags)
        in_source = ("PROPN", "VERB", "NOUN", "PUNCT")
        if sorted(sentence.tags) == sorted(in_source):
            seen.add(core)
    # A name can be the object too: then subject and object change places.
    swapped = expected.translate(str.maketrans("SO", "OS"))
    assert seen == {expected, swapped}


def test_an_unknown_partition_is_refused():
    with pytest.raises(ValueError, match="validation"):
        list(corpus.treebank(QAA, "validation", 1))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)
def test_links_count_the_words_that_the_harness_sees(language):
    """No clone's script is one whose characters are words of their own."""
    for pair in corpus.parallel_text(QAA, language, "test", 60):
        for text, side in ((pair.source, 0), (pair.target, 1)):
            words = harness_words(text)
            assert words == tuple(text.split())
            assert all(link[side] < len(words) for link in pair.links)
        assert pair.links


@given(KNOBS)
@settings(max_examples=20, deadline=None)
def test_no_script_that_a_clone_may_have_is_written_without_spaces(clone):
    for words in words_of(clone, count=5):
        assert harness_words(" ".join(words)) == words
