"""The aligners that read words alone: given links, and a dictionary."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xbench.api import WordPair, WordSide
from xbench.data.words import words_of
from xbench_plugins.aligners.dictionary import Dictionary, bare
from xbench_plugins.aligners.given import Given

from .pairs import text_pair

MUSE = {
    "the": ["der", "die", "das"],
    "cat": ["katze"],
    "house": ["haus", "gebäude"],
    "building": ["gebäude"],
    "berlin": ["berlin"],
}
KEEP = Dictionary(Dictionary.Config(ambiguous="keep"))


def spaceless(source: str, target: str, dictionary: dict[str, list[str]]) -> WordPair:
    """Both sentences as the harness parts them."""
    sides = [
        WordSide(words_of(text), torch.empty(0, 1), torch.empty(0).long())
        for text in (source, target)
    ]
    return WordPair(*sides, dictionary)


def test_given_links_are_sorted_and_each_once() -> None:
    pair = text_pair("a b c", "x y", given=[(2, 1), (0, 0), (2, 1), (1, 0)])
    assert Given().align(pair) == [(0, 0), (1, 0), (2, 1)]
    assert Given().align(text_pair("a b", "x")) == []


@pytest.mark.parametrize("link", [(3, 0), (0, 2), (-1, 0)])
def test_a_given_link_to_no_word_is_an_error(link: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"links {link[0]}-{link[1]}, but the (source|target) has"):
        Given().align(text_pair("a b c", "x y", given=[link]))


def test_a_dictionary_links_words_and_translations() -> None:
    pair = text_pair("the cat sleeps", "die Katze schläft", MUSE)
    assert Dictionary().align(pair) == [(0, 0), (1, 1)]


def test_case_and_punctuation_do_not_matter() -> None:
    pair = text_pair('"The Cat!" (sleeps)', "„Die KATZE“ schläft.", MUSE)
    assert Dictionary().align(pair) == [(0, 0), (1, 1)]


def test_any_translation_of_a_word_will_do() -> None:
    for target, link in (("das Haus", (0, 1)), ("ein Gebäude", (0, 1))):
        assert Dictionary().align(text_pair("house", target, MUSE)) == [link]


@pytest.mark.parametrize(
    ("source", "target", "all_links"),
    [
        # two translations of one word
        ("house", "Haus Gebäude", [(0, 0), (0, 1)]),
        # the translation stands there twice
        ("cat", "Katze Katze", [(0, 0), (0, 1)]),
        # the word stands there twice
        ("cat cat", "Katze", [(0, 0), (1, 0)]),
        # the translation is that of another word too
        ("house building", "Gebäude", [(0, 0), (1, 0)]),
    ],
)
def test_ambiguous_matches_are_dropped_or_kept(
    source: str, target: str, all_links: list[tuple[int, int]]
) -> None:
    pair = text_pair(source, target, MUSE)
    assert Dictionary().align(pair) == []
    assert KEEP.align(pair) == all_links


def test_one_ambiguous_word_does_not_spoil_the_others() -> None:
    pair = text_pair("the cat and the house", "die Katze und das Haus", MUSE)
    assert Dictionary().align(pair) == [(1, 1), (4, 4)]


def test_words_spelt_alike_are_linked_only_if_asked_for() -> None:
    pair = text_pair("berlin", "Berlin", MUSE)
    assert Dictionary().align(pair) == []
    assert Dictionary(Dictionary.Config(identical=True)).align(pair) == [(0, 0)]


def test_nothing_to_look_up() -> None:
    assert Dictionary().align(text_pair("the cat", "die Katze")) == []
    assert Dictionary().align(text_pair("", "die Katze", MUSE)) == []
    assert Dictionary().align(text_pair("... --", "...", {"": [""], "...": ["..."]})) == []


def test_an_entry_spans_words_in_a_script_without_spaces() -> None:
    entries = {"beijing": ["北京"], "university": ["大学"]}
    pair = spaceless("Beijing University", "我在北京大学", entries)
    assert Dictionary().align(pair) == [(0, 2), (0, 3), (1, 4), (1, 5)]
    back = spaceless(
        "我在北京大学", "Beijing University", {"北京": ["beijing"], "大学": ["university"]}
    )
    assert Dictionary().align(back) == [(2, 0), (3, 0), (4, 1), (5, 1)]


def test_a_match_inside_a_longer_one_is_left_out() -> None:
    entries = {"peking-university": ["北京大学"], "beijing": ["北京"]}
    pair = spaceless("peking-university beijing", "北京大学", entries)
    assert Dictionary().align(pair) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_entries_longer_than_allowed_are_not_found() -> None:
    pair = spaceless("beijing", "北京", {"beijing": ["北京"]})
    assert Dictionary(Dictionary.Config(longest=1)).align(pair) == []


def test_words_with_spaces_between_are_not_joined() -> None:
    pair = text_pair("icecream", "i c e", {"icecream": ["ic", "ice", "ce"]})
    assert Dictionary().align(pair) == []


def test_marks_that_belong_to_a_word_stay() -> None:
    # Hindi vowel signs are no letters, and must not be taken for punctuation.
    assert bare("की।") == "की"
    assert bare("«Ça»,") == "ça"
    assert bare("l'été") == "l'été"
    assert bare("--") == ""


WORDS = st.lists(st.sampled_from("abcde"), min_size=0, max_size=6)


@given(WORDS, WORDS, st.dictionaries(st.sampled_from("abcde"), st.sets(st.sampled_from("vwxyz"))))
def test_it_is_the_slow_rule(
    source: list[str], target: list[str], entries: dict[str, set[str]]
) -> None:
    words = [chr(ord(letter) + ord("v") - ord("a")) for letter in target]
    pair = text_pair(" ".join(source), " ".join(words), entries)
    every = [
        (i, j)
        for i, word in enumerate(source)
        for j, other in enumerate(words)
        if other in entries.get(word, ())
    ]
    assert KEEP.align(pair) == every
    only = [
        (i, j)
        for i, j in every
        if sum(a == i for a, _ in every) == 1 and sum(b == j for _, b in every) == 1
    ]
    assert Dictionary().align(pair) == only


def test_the_order_of_entries_does_not_matter() -> None:
    turned = {word: list(reversed(found)) for word, found in reversed(MUSE.items())}
    pair = text_pair("the house and building", "das Gebäude Haus", MUSE)
    assert KEEP.align(pair) == KEEP.align(replace(pair, dictionary=turned))
