from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.api import ParallelText, TaggedSentence
from xbench.data.conllu import read_conllu
from xbench.data.tokenise import tokenise_pairs, tokenise_sentences, tokenise_texts
from xbench.data.tokenizer import Tokenizer

WORD = st.text("abcdeog дё狐 \u200b\u0301.'1", max_size=9)


@pytest.fixture(scope="module", params=["xlmr_folder", "bert_folder"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.from_folder(request.getfixturevalue(request.param))


def sentence(words) -> TaggedSentence:
    return TaggedSentence(tuple(words), ("X",) * len(words))


def content(tokenizer: Tokenizer, ids) -> list[int]:
    inner = list(ids)[1:-1]
    assert tokenizer.build_single(inner) == list(ids)
    return inner


@given(
    sentences=st.lists(st.lists(WORD, max_size=12), max_size=4),
    max_length=st.integers(3, 20),
)
def test_every_word_is_in_one_piece_and_in_order(tokenizer: Tokenizer, sentences, max_length):
    pieces = list(tokenise_sentences(tokenizer, map(sentence, sentences), max_length))
    room = max_length - 2
    for item, words in enumerate(sentences):
        encoded = [ids[:room] for ids in tokenizer.encode_words(words)]
        mine = [piece for piece in pieces if piece.item == item]
        spans = [(piece.first_word, len(piece.first_subwords)) for piece in mine]
        covered = [first + i for first, count in spans for i in range(count)]
        assert covered == list(range(len(words)))
        for piece in mine:
            ids = content(tokenizer, piece.ids)
            assert len(piece.ids) <= max_length
            ends = [*piece.first_subwords[1:], len(piece.ids) - 1]
            cut = [
                list(piece.ids[start:end])
                for start, end in zip(piece.first_subwords, ends, strict=True)
            ]
            assert cut == encoded[piece.first_word : piece.first_word + len(cut)]
            following = piece.first_word + len(cut)
            if following < len(words):  # a piece ends only where the next word does not fit
                assert len(ids) + len(encoded[following]) > room
    assert [piece.item for piece in pieces] == sorted(piece.item for piece in pieces)


def test_first_subwords_of_a_split_sentence(tokenizer: Tokenizer) -> None:
    words = ["dog", "fox", "quick", "lazy"]
    encoded = tokenizer.encode_words(words)
    limit = 2 + len(encoded[0]) + len(encoded[1])
    first, *rest = tokenise_sentences(tokenizer, [sentence(words)], limit)
    assert list(first.ids) == tokenizer.build_single(encoded[0] + encoded[1])
    assert first.first_subwords == (1, 1 + len(encoded[0]))
    assert (first.item, first.first_word) == (0, 0)
    assert rest[0].first_word == 2


def test_a_word_longer_than_the_limit_is_cut_to_it(tokenizer: Tokenizer) -> None:
    long = "jumps" * 20
    (whole,) = tokenizer.encode_words([long])
    pieces = list(tokenise_sentences(tokenizer, [sentence(["dog", long, "dog"])], 8))
    middle = next(piece for piece in pieces if piece.first_word == 1)
    assert content(tokenizer, middle.ids) == whole[:6]
    assert middle.first_subwords == (1,)


@given(texts=st.lists(WORD, max_size=5), max_length=st.integers(3, 12))
def test_texts_are_cut_with_their_special_tokens(tokenizer: Tokenizer, texts, max_length):
    rows = list(tokenise_texts(tokenizer, texts, max_length))
    whole = tokenizer.encode_texts(texts)
    assert len(rows) == len(texts)
    for row, ids in zip(rows, whole, strict=True):
        assert content(tokenizer, row) == ids[: max_length - 2]


@given(
    pairs=st.lists(st.tuples(WORD, WORD), max_size=6),
    max_length=st.integers(3, 12),
)
def test_pairs_are_cut_and_empty_sides_left_out(tokenizer: Tokenizer, pairs, max_length):
    expected = []
    for source, target in pairs:
        a, b = tokenizer.encode_texts([source, target])
        if a and b:
            expected.append((a[: max_length - 2], b[: max_length - 2]))
    texts = [ParallelText(*pair) for pair in pairs]
    assert list(tokenise_pairs(tokenizer, texts, max_length)) == expected


def test_more_texts_than_are_encoded_at_once(tokenizer: Tokenizer) -> None:
    texts = [str(number) for number in range(2500)]
    rows = list(tokenise_texts(tokenizer, iter(texts), 16))
    assert rows == [tokenizer.build_single(*tokenizer.encode_texts([text])) for text in texts]


def test_input_is_consumed_as_output_is_asked_for(tokenizer: Tokenizer) -> None:
    def endless():
        while True:
            yield ParallelText("dog", "fox")

    assert next(tokenise_pairs(tokenizer, endless(), 8))[0]


@pytest.mark.parametrize("max_length", [0, 2])
def test_no_room_beside_the_special_tokens(tokenizer: Tokenizer, max_length: int) -> None:
    for tokenise in (tokenise_texts, tokenise_sentences, tokenise_pairs):
        with pytest.raises(ValueError, match="leaves no room beside the 2 special tokens"):
            list(tokenise(tokenizer, [], max_length))


def test_real_sentences_keep_every_word(real_data: Path, real_model: Path) -> None:
    tokenizer = Tokenizer.from_folder(real_model)
    for path in sorted((real_data / "ud").glob("*/*-ud-test.conllu.gz")):
        sentences = list(read_conllu(path))
        words = [0] * len(sentences)
        for piece in tokenise_sentences(tokenizer, sentences, 64):
            assert piece.first_word == words[piece.item]
            assert len(piece.ids) <= 64
            words[piece.item] += len(piece.first_subwords)
        assert words == [len(sentence.words) for sentence in sentences]
