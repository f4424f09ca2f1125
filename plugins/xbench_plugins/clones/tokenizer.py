"""The suite's tokenizer: Unigram subwords with XLM-R's conventions."""

import json
from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from xbench_plugins.clones.corpus import monolingual_text
from xbench_plugins.clones.languages import LANGUAGES

SENTENCES = 2000
"""Sentences per language that the tokenizer is trained on."""

VOCABULARY_SIZE = 2000
MAX_LENGTH = 128

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")

Pieces = list[tuple[str, float]]


def training_text() -> Iterator[str]:
    """Monolingual text of all languages, as much of each."""
    for language in LANGUAGES:
        yield from monolingual_text(language, SENTENCES)


def train_tokenizer(vocabulary_size: int = VOCABULARY_SIZE) -> PreTrainedTokenizerFast:
    """A tokenizer trained on the clone languages' text; always the same one.

    ``<s>``, ``<pad>``, ``</s>``, ``<unk>`` are 0 to 3 and ``<mask>`` is the last id. A pair is
    ``<s> A </s></s> B </s>``.
    """
    pieces = _ranked(_trained_pieces(vocabulary_size - 1))
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=_SPECIAL.index("<unk>")))
    tokenizer.pre_tokenizer = _words()
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in _SPECIAL])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token=AddedToken("<mask>", lstrip=True, special=True),
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
    )


def _words() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Metaspace(prepend_scheme="always")


def _trained_pieces(size: int) -> Pieces:
    """Pieces and log-probabilities as the library's trainer gives them, specials first."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = _words()
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=list(_SPECIAL),
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_text(), trainer)
    return [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]


def _ranked(pieces: Pieces) -> Pieces:
    """``pieces`` in one order and with scores that every training run agrees on.

    The trainer sums in the order that its hash maps and threads happen to give, so the last digits
    differ from run to run; and it ranks the letters that it added for coverage by chance.
    """
    trained = pieces[len(_SPECIAL) :]
    floor = min(score for piece, score in trained if len(piece) > 1)
    scores = [(piece, round(score if score >= floor else floor - 1, 6)) for piece, score in trained]
    return [(name, 0.0) for name in _SPECIAL] + sorted(scores, key=lambda item: (-item[1], item[0]))
