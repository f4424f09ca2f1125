"""Texts that are the same but for case, punctuation and spacing; and those that are not."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.api import LabelledPair, LabelledText, ParallelText, TaggedSentence
from xbench.data.overlap import digest, digests, is_known, normalised, texts_of

SENTENCE = "The quick brown fox jumps over the dog"


@pytest.mark.parametrize(
    "other",
    [
        "the QUICK brown fox jumps over the dog.",
        "  The quick, brown fox\tjumps (over) the dog!  ",
        "“The quick brown fox jumps over the dog”",
        "Ｔｈｅ quick brown fox jumps over the dog",
        "The quick brown foxjumps over the dog",
    ],
)
def test_the_same_sentence_in_other_clothes(other: str) -> None:
    assert is_known(other, digests([SENTENCE]))


@pytest.mark.parametrize(
    "other", ["The quick brown fox jumps over the cat", "The quick brown fox", "", "!!! ... ???"]
)
def test_another_sentence(other: str) -> None:
    assert not is_known(other, digests([SENTENCE]))


def test_short_texts_tell_nothing() -> None:
    assert digest("Thank you very much.") is None
    assert digest("谢谢你们") is None
    assert digest("我们现在有四个月大的老鼠") is not None
    assert digests(["yes", "no"]) == set()


def test_vowel_signs_are_part_of_the_word() -> None:
    assert normalised("कि") != normalised("की")
    assert normalised("café") == normalised("cafe\u0301")


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(st.lists(st.text("abcdefgh ", min_size=12, max_size=40), max_size=12), st.integers(0, 11))
def test_every_text_is_among_its_own(texts: list[str], place: int) -> None:
    known = digests(texts)
    for text in texts:
        assert is_known(text.upper() + " .", known) == (digest(text) is not None)


def test_records_of_every_kind_have_their_texts() -> None:
    assert list(texts_of(TaggedSentence(("a", "b"), ("X", "X")))) == ["a b"]
    assert list(texts_of(LabelledText("a", "x"))) == ["a"]
    assert list(texts_of(LabelledPair("a", "b", "x"))) == ["a", "b"]
    assert list(texts_of(ParallelText("a", "b"))) == ["a", "b"]


@pytest.mark.skipif(
    "XBENCH_DATA" not in os.environ,
    reason="set XBENCH_DATA to a folder of real data, laid out as docs/data.md says",
)
def test_sib200_is_made_of_flores_sentences() -> None:
    from xbench.data.bitext import read_line_aligned
    from xbench.data.tsv import read_sib200

    data = Path(os.environ["XBENCH_DATA"])
    flores = data / "flores200" / "devtest" / "eng_Latn.devtest.gz"
    known = digests(pair.source for pair in read_line_aligned(flores, flores))
    train = list(read_sib200(data / "sib200" / "eng_Latn" / "train.tsv.gz"))
    seen = [record for record in train if is_known(record.text, known)]
    of_devtest = [record for record in train if int(record.id) >= 997]
    assert len(seen) == pytest.approx(len(of_devtest), abs=5)
    assert {r.id for r in seen} <= {r.id for r in of_devtest}
