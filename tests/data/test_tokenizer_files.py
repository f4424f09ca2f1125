"""Files of a folder that say different things: ids are those of transformers' AutoTokenizer."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from transformers import AutoTokenizer

from xbench.data import tokenizer_files
from xbench.data.tokenizer import Tokenizer

TEXTS = [
    "The Quick brown fox, isn't it?",
    "Ein Élan: über Straßen, ÄÖÜ ß",
    "Быстрая лиса и Ёжик",
    "Қазақстан қалалары",
    "Ο Γρήγορος αλεπού",
    "سريعة البنية الثعلب",
    "מהיר חום שועל",
    "तेज़ भूरी लोमड़ी",
    "敏捷的棕色狐狸",
    "素早いキツネ、ガガ",
    "빠른 갈색 여우",
    "สุนัขจิ้งจอก",
    "ﬁrst №1 ½ A\u0301 İstanbul <mine> Mine [X1]",
]
BERT = {"model_type": "bert"}
XLMR = {"model_type": "xlm-roberta"}
ADDED = {"content": "[X1]", "lstrip": False, "normalized": False, "rstrip": False}
ADDED |= {"single_word": False, "special": False}


def folder_of(definition: Path, into: Path, **files: dict[str, Any]) -> Path:
    """The definition with other files beside it; ``__`` in a name stands for a dot."""
    into.mkdir()
    (into / "tokenizer.json").write_bytes((definition / "tokenizer.json").read_bytes())
    for name, content in files.items():
        (into / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return into


def same_as_transformers(folder: Path, cache: Path | None = None) -> list[list[int]]:
    """Ids with and without special tokens, of texts and of lists of words."""
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ours = Tokenizer.from_folder(folder, cache)
    control = set(theirs.all_special_ids) - {theirs.unk_token_id}

    def expected(text: Any, **options: Any) -> list[int]:
        """A control token that stands in a text is refused: it becomes the unknown token."""
        found = theirs(text, add_special_tokens=False, **options)["input_ids"]
        return [theirs.unk_token_id if number in control else number for number in found]

    ids = ours.encode_texts(TEXTS)
    assert ids == [expected(text) for text in TEXTS]
    assert ours.build_single(ids[0]) == theirs(TEXTS[0])["input_ids"]
    for text in TEXTS:
        words = text.split()
        found = expected(words, is_split_into_words=True)
        assert [i for word in ours.encode_words(words) for i in word] == found
    return ids


WORDPIECE = [
    {},
    {"config": BERT},
    {"config": BERT, "tokenizer_config": {"tokenizer_class": "BertTokenizer"}},
    {"tokenizer_config": {"tokenizer_class": "BertTokenizer", "do_lower_case": True}},
    {"tokenizer_config": {"tokenizer_class": "BertTokenizer", "do_lower_case": False}},
    {"tokenizer_config": {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False}},
    {
        "tokenizer_config": {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": False,
            "strip_accents": True,
        }
    },
    {
        "tokenizer_config": {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": False,
            "tokenize_chinese_chars": False,
        }
    },
    {"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}},
    {
        "tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"},
        "added_tokens": {"[X1]": 400},
    },
    {
        "tokenizer_config": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": {"400": ADDED},
        }
    },
    {
        "tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"},
        "special_tokens_map": {"additional_special_tokens": ["<mine>"]},
    },
]
UNIGRAM = [
    {"config": XLMR},
    {"config": XLMR, "tokenizer_config": {"tokenizer_class": "XLMRobertaTokenizer"}},
    {"tokenizer_config": {"tokenizer_class": "XLMRobertaTokenizerFast"}, "config": XLMR},
    {"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}},
    {
        "config": XLMR,
        "tokenizer_config": {
            "tokenizer_class": "XLMRobertaTokenizer",
            "added_tokens_decoder": {"4000": {**ADDED, "content": "<mine>"}},
        },
    },
]
NAMES = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}


def named(files: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The same files, in which the configuration names the special tokens."""
    if "tokenizer_config" not in files:
        return files
    return {**files, "tokenizer_config": {**names, **files["tokenizer_config"]}}


@pytest.mark.parametrize("files", WORDPIECE, ids=str)
def test_wordpiece(files: dict[str, Any], bert_folder: Path, tmp_path: Path) -> None:
    folder = folder_of(bert_folder, tmp_path / "model", **named(files, NAMES))
    if not files:  # AutoTokenizer asks for a configuration; nothing stands beside the definition
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    same_as_transformers(folder, tmp_path / "cache")


@pytest.mark.parametrize("files", UNIGRAM, ids=str)
def test_unigram(files: dict[str, Any], xlmr_folder: Path, tmp_path: Path) -> None:
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    names |= {"cls_token": "<s>", "sep_token": "</s>", "bos_token": "<s>", "eos_token": "</s>"}
    folder = folder_of(xlmr_folder, tmp_path / "model", **named(files, names))
    same_as_transformers(folder, tmp_path / "cache")


def test_settings_that_disagree_with_the_definition_change_ids(
    bert_folder: Path, tmp_path: Path
) -> None:
    """What the cases above are about is there: the definition alone gives other ids."""
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, **NAMES}
    cased = folder_of(bert_folder, tmp_path / "cased", tokenizer_config=settings)
    other = {**settings, "do_lower_case": True}
    uncased = folder_of(bert_folder, tmp_path / "uncased", tokenizer_config=other)
    assert same_as_transformers(cased) != same_as_transformers(uncased)


def test_a_tokenizer_is_made_once_and_again_when_a_file_changes(
    bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, **NAMES}
    folder = folder_of(bert_folder, tmp_path / "model", tokenizer_config=settings)
    made = []
    convert = tokenizer_files.convert

    def counted(folder: Path) -> tokenizer_files.TokenizerFiles:
        made.append(folder)
        return convert(folder)

    monkeypatch.setattr(tokenizer_files, "convert", counted)
    cache = tmp_path / "cache"
    first = Tokenizer.from_folder(folder, cache)
    again = Tokenizer.from_folder(folder, cache)
    assert len(made) == 1
    assert first.digest == again.digest
    assert first.encode_texts(TEXTS) == again.encode_texts(TEXTS)
    settings["do_lower_case"] = True
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    changed = Tokenizer.from_folder(folder, cache)
    assert len(made) == 2
    assert changed.digest != first.digest


def test_a_definition_that_counts_as_it_is_needs_no_transformers(
    xlmr_folder: Path, tmp_path: Path
) -> None:
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    folder = folder_of(xlmr_folder, tmp_path / "model", tokenizer_config=settings, config=XLMR)
    code = (
        "import sys; from pathlib import Path; from xbench.data.tokenizer import Tokenizer; "
        "Tokenizer.from_folder(Path(sys.argv[1])); assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_the_embedded_encoders_definition_counts_as_it_is() -> None:
    from importlib.resources import files

    folder = Path(str(files("xbench_plugins.clones") / "encoder"))
    plain = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = [plain.encode(text, add_special_tokens=False).ids for text in TEXTS]
    assert tokenizer_files.is_plain(folder, json.loads((folder / "tokenizer.json").read_text()))
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert [theirs(text, add_special_tokens=False)["input_ids"] for text in TEXTS] == ids
