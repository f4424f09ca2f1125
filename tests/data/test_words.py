"""Words of a text and the subwords that make them up."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from xbench.api import ParallelText
from xbench.data.tokenise import tokenise_pairs
from xbench.data.tokenizer import Tokenizer
from xbench.data.words import numbered_rows_with_words, owners, word_spans, words_of


def test_words_are_parted_by_spaces_and_spaceless_scripts_by_character() -> None:
    assert words_of(" the  quick\tfox ") == ("the", "quick", "fox")
    assert words_of("我爱 Berlin很") == ("我", "爱", "Berlin", "很")
    assert words_of("나는 학교에") == ("나는", "학교에")
    assert words_of(" \n ") == ()


@given(st.text(max_size=40))
def test_spans_cover_everything_but_white_space_in_order(text: str) -> None:
    spans = word_spans(text)
    covered = [place for start, end in spans for place in range(start, end)]
    assert covered == [place for place, character in enumerate(text) if not character.isspace()]


def test_a_subword_belongs_to_the_word_of_its_last_character() -> None:
    spans = word_spans("ab cd")
    assert owners([(0, 1), (1, 2), (2, 3), (2, 4), (4, 5)], spans) == [0, 0, 1, 1, 1]


def test_rows_have_the_ids_of_plain_tokenising_and_an_owner_for_each(
    xlmr_folder: Path,
) -> None:
    tokenizer = Tokenizer.from_folder(xlmr_folder)
    pairs = [
        ParallelText("piko bala", "tuno re", "a", ((0, 1),)),
        ParallelText("", "nothing", "b"),
        ParallelText("one two three four five", "x", "c", ((0, 0), (4, 0))),
    ]
    rows = list(numbered_rows_with_words(tokenizer, pairs, 6))
    plain = list(tokenise_pairs(tokenizer, pairs, 6))
    assert [(row["source"], row["target"]) for row in rows] == plain
    for row, pair in zip(rows, [pairs[0], pairs[2]], strict=True):
        for side, text in (("source", pair.source), ("target", pair.target)):
            assert len(row[side]) == len(row[f"{side}_owner"])
            assert row[f"{side}_owner"] == sorted(row[f"{side}_owner"])
            assert set(row[f"{side}_owner"]) <= set(range(len(words_of(text))))
    assert [row["number"] for row in rows] == [[0], [2]]
