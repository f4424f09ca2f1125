import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from xbench.data.conllu import read_conllu
from xbench.data.tokenizer import Tokenizer, TokenizerFolderError

WORDS = ["The", "quick", "10 000", "aujourd'hui", "狐が", "лису", "x", ".", "Ω≈ç"]


def transformers_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def edited(folder: Path, into: Path, **changes) -> Path:
    """A copy of the tokenizer with some parts of its definition replaced."""
    definition = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    into.mkdir(exist_ok=True)
    (into / "tokenizer.json").write_text(json.dumps(definition | changes), encoding="utf-8")
    return into


def test_facts_are_read_from_the_files(xlmr_folder: Path, bert_folder: Path) -> None:
    backend = tokenizers.Tokenizer.from_file(str(xlmr_folder / "tokenizer.json"))
    vocabulary = Tokenizer.from_folder(xlmr_folder).vocabulary
    assert vocabulary.mask_id == backend.token_to_id("<mask>") == vocabulary.size - 1
    assert vocabulary.size == len(backend.get_vocab())
    assert vocabulary.pad_id == 1
    assert vocabulary.special_ids == (0, 1, 2, 3, vocabulary.mask_id)
    bert = Tokenizer.from_folder(bert_folder)
    assert (bert.vocabulary.pad_id, bert.unk_id, bert.vocabulary.mask_id) == (0, 1, 4)


def test_names_in_the_configuration_win_over_the_usual_ones(
    xlmr_folder: Path, tmp_path: Path
) -> None:
    folder = edited(xlmr_folder, tmp_path / "copy")
    (folder / "special_tokens_map.json").write_text('{"pad_token": "<s>"}')
    assert Tokenizer.from_folder(folder).vocabulary.pad_id == 0
    (folder / "tokenizer_config.json").write_text(
        '{"mask_token": {"__type": "AddedToken", "content": "</s>"}}'
    )
    assert Tokenizer.from_folder(folder).vocabulary.mask_id == 2


def test_input_formats(xlmr_folder: Path, bert_folder: Path, roberta_folder: Path) -> None:
    xlmr, bert = Tokenizer.from_folder(xlmr_folder), Tokenizer.from_folder(bert_folder)
    assert xlmr.build_single([7, 8]) == [0, 7, 8, 2]
    assert xlmr.build_pair([7, 8], [9]) == ([0, 7, 8, 2, 2, 9, 2], [0] * 7)
    assert (xlmr.special_tokens_single, xlmr.special_tokens_pair, xlmr.content_start) == (2, 4, 1)
    assert bert.build_single([7, 8]) == [2, 7, 8, 3]
    assert bert.build_pair([7, 8], [9]) == ([2, 7, 8, 3, 9, 3], [0, 0, 0, 0, 1, 1])
    assert (bert.special_tokens_single, bert.special_tokens_pair) == (2, 3)
    roberta = Tokenizer.from_folder(roberta_folder)
    assert roberta.build_pair([7, 8], [9]) == ([0, 7, 8, 2, 2, 9, 2], [0] * 7)


@pytest.mark.parametrize("folder", ["xlmr_folder", "bert_folder", "roberta_folder"])
def test_inputs_are_those_of_transformers(folder: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(folder)
    ours, theirs = Tokenizer.from_folder(folder), transformers_tokenizer(folder)
    first, second = "The lazy dog, 狐.", "Быстрая лиса"
    a, b = ours.encode_texts([first, second])
    assert ours.build_single(a) == theirs(first)["input_ids"]
    encoded = theirs(first, second, return_token_type_ids=True)
    assert ours.build_pair(a, b) == (encoded["input_ids"], encoded["token_type_ids"])


def test_no_post_processor_means_no_special_tokens(xlmr_folder: Path, tmp_path: Path) -> None:
    bare = Tokenizer.from_folder(edited(xlmr_folder, tmp_path / "bare", post_processor=None))
    assert bare.build_single([7]) == [7]
    assert bare.build_pair([7, 8], [9]) == ([7, 8, 9], [0, 0, 1])
    assert (bare.special_tokens_single, bare.special_tokens_pair, bare.content_start) == (0, 0, 0)


@pytest.mark.parametrize("folder", ["xlmr_folder", "bert_folder"])
def test_words_are_those_of_transformers(folder: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(folder)
    encoded = transformers_tokenizer(folder)(
        WORDS, is_split_into_words=True, add_special_tokens=False
    )
    expected = [[] for _ in WORDS]
    for token, word in zip(encoded["input_ids"], encoded.word_ids(), strict=True):
        expected[word].append(token)
    assert Tokenizer.from_folder(folder).encode_words(WORDS) == expected


def test_byte_level_words_have_a_space_before_them(roberta_folder: Path) -> None:
    tokenizer = Tokenizer.from_folder(roberta_folder)
    words = ["The", "lazy", "dog", "."]
    spaced = tokenizer.encode_texts([f" {word}" for word in words])
    assert tokenizer.encode_words(words) == spaced
    assert tokenizer.encode_texts(words) != spaced


def test_a_word_without_pieces_becomes_unknown(xlmr_folder: Path) -> None:
    tokenizer = Tokenizer.from_folder(xlmr_folder)
    known = tokenizer.encode_words(["dog"])
    assert tokenizer.encode_words(["dog", "\u200b", "", "dog"]) == [*known, [3], [3], *known]
    assert tokenizer.encode_words([]) == []


@pytest.mark.parametrize("folder", ["xlmr_folder", "bert_folder", "roberta_folder"])
def test_text_never_yields_control_tokens(folder: str, request: pytest.FixtureRequest) -> None:
    tokenizer = Tokenizer.from_folder(request.getfixturevalue(folder))
    control = set(tokenizer.vocabulary.special_ids) - {tokenizer.unk_id}
    texts = ["a <s> b </s> c <mask> d <pad>", "a [CLS] b [SEP] c [MASK] d [PAD]"]
    for ids in tokenizer.encode_texts(texts) + tokenizer.encode_words(texts[0].split()):
        assert control.isdisjoint(ids)


def test_saved_truncation_and_padding_are_ignored(xlmr_folder: Path, tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer.from_file(str(xlmr_folder / "tokenizer.json"))
    backend.enable_truncation(4)
    backend.enable_padding(length=8, pad_id=1, pad_token="<pad>")
    state = json.loads(backend.to_str())
    limits = {part: state[part] for part in ("truncation", "padding")}
    plain = Tokenizer.from_folder(xlmr_folder)
    saved = Tokenizer.from_folder(edited(xlmr_folder, tmp_path, **limits))
    texts = ["The quick brown fox jumps over the lazy dog.", "a"]
    assert saved.encode_texts(texts) == plain.encode_texts(texts)
    assert saved.encode_words(texts) == plain.encode_words(texts)
    assert saved.digest == plain.digest


def test_digest_identifies_content_and_not_layout(
    xlmr_folder: Path, bert_folder: Path, tmp_path: Path
) -> None:
    digest = Tokenizer.from_folder(xlmr_folder).digest
    assert digest != Tokenizer.from_folder(bert_folder).digest
    same = edited(xlmr_folder, tmp_path / "same")  # other white space in the file
    assert Tokenizer.from_folder(same).digest == digest
    changed = edited(xlmr_folder, tmp_path / "changed", normalizer=None)
    assert Tokenizer.from_folder(changed).digest != digest
    (same / "tokenizer_config.json").write_text('{"pad_token": "</s>"}')
    assert Tokenizer.from_folder(same).digest != digest


def test_older_vocabulary_is_converted(bert_folder: Path, tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer.from_file(str(bert_folder / "tokenizer.json"))
    by_id = sorted(backend.get_vocab().items(), key=lambda entry: entry[1])
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in by_id), "utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": false}'
    )
    old, new = Tokenizer.from_folder(tmp_path), Tokenizer.from_folder(bert_folder)
    assert old.encode_words(WORDS) == new.encode_words(WORDS)
    assert old.build_pair([7], [8]) == new.build_pair([7], [8])
    assert old.vocabulary == new.vocabulary


def test_folders_without_a_usable_tokenizer(xlmr_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TokenizerFolderError, match=r"no tokenizer: neither tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerFolderError, match="is not JSON"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("[]")
    with pytest.raises(TokenizerFolderError, match="JSON object"):
        Tokenizer.from_folder(tmp_path)
    with pytest.raises(TokenizerFolderError, match="cannot be loaded"):
        Tokenizer.from_folder(edited(xlmr_folder, tmp_path, model={"type": "Oracle"}))
    with pytest.raises(TokenizerFolderError, match="names no pad token"):
        Tokenizer.from_folder(edited(xlmr_folder, tmp_path, added_tokens=[]))
    edited(xlmr_folder, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "Oracle", "auto_map": 3}')
    with pytest.raises(TokenizerFolderError, match="transformers cannot make a tokenizer"):
        Tokenizer.from_folder(tmp_path)


def test_special_tokens_inside_a_text_are_refused(xlmr_folder: Path, tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer.from_file(str(xlmr_folder / "tokenizer.json"))
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A <s> $A", pair="$A <s> $B", special_tokens=[("<s>", 0)]
    )
    backend.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TokenizerFolderError, match="cannot be used"):
        Tokenizer.from_folder(tmp_path)


def test_loading_is_silent_and_imports_neither_torch_nor_transformers(xlmr_folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from xbench.data.tokenizer import Tokenizer;"
        "Tokenizer.from_folder(Path(sys.argv[1])).encode_texts(['a']);"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(xlmr_folder)],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_real_words_are_those_of_transformers(real_data: Path, real_model: Path) -> None:
    ours = Tokenizer.from_folder(real_model)
    theirs = AutoTokenizer.from_pretrained(real_model, model_max_length=10**6)
    assert ours.vocabulary.special_ids == tuple(sorted(theirs.all_special_ids))
    assert ours.vocabulary.mask_id == theirs.mask_token_id == 4
    assert ours.vocabulary.size == len(theirs)
    for path in sorted((real_data / "ud").glob("*/*-ud-test.conllu.gz")):
        for sentence in list(read_conllu(path))[:100]:
            words = list(sentence.words)
            expected = theirs(words, is_split_into_words=True, add_special_tokens=False)
            assert list(chain(*ours.encode_words(words))) == expected["input_ids"]
            text = " ".join(words)
            assert ours.build_single(ours.encode_texts([text])[0]) == theirs(text)["input_ids"]
