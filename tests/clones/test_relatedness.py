"""Relatedness is a controlled variable: transfer falls as a knob moves away from the source.

The shipped encoder is fine-tuned once for POS on the source language and then reads the same test
sentences in languages that differ from the source in one knob. Scripts are those it has seen.
"""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, XLMRobertaModel

from xbench.api import TaggedSentence
from xbench_plugins.clones import corpus
from xbench_plugins.clones.language import CloneLanguage
from xbench_plugins.clones.languages import LANGUAGES, QAA

SHIPPED = str(files("xbench_plugins.clones") / "encoder")
STEPS, BATCH = 100, 16


class Tagger(nn.Module):
    """The encoder with a linear head on the first subword of every word."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
        self.encoder = XLMRobertaModel.from_pretrained(
            SHIPPED, add_pooling_layer=False, dtype=torch.float32
        )
        self.tags = sorted({tag for s in corpus.treebank(QAA, "train", 500) for tag in s.tags})
        self.head = nn.Linear(128, len(self.tags))

    def forward(self, sentences: Sequence[TaggedSentence]) -> tuple[Tensor, Tensor]:
        """Logits and gold classes of all words of ``sentences``."""
        inputs = self.tokenizer(
            [list(sentence.words) for sentence in sentences],
            is_split_into_words=True,
            padding=True,
            return_tensors="pt",
        )
        states = self.encoder(**inputs).last_hidden_state
        first = [
            states[row, inputs.word_ids(row).index(word)]
            for row, sentence in enumerate(sentences)
            for word in range(len(sentence.words))
        ]
        gold = [self.tags.index(tag) for sentence in sentences for tag in sentence.tags]
        return self.head(torch.stack(first)), torch.tensor(gold)

    @torch.no_grad()
    def accuracy(self, language: CloneLanguage) -> float:
        """Token accuracy on 128 test sentences."""
        logits, gold = self(list(corpus.treebank(language, "test", 128)))
        return float((logits.argmax(-1) == gold).float().mean())


@pytest.fixture(scope="module")
def tagger():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(15)
    tagger = Tagger()
    train = list(corpus.treebank(QAA, "train", STEPS * BATCH))
    optimizer = torch.optim.AdamW(
        [
            {"params": tagger.encoder.parameters(), "lr": 5e-4},
            {"params": tagger.head.parameters(), "lr": 5e-3},
        ]
    )
    tagger.train()
    for step in range(STEPS):
        logits, gold = tagger(train[step * BATCH : (step + 1) * BATCH])
        nn.functional.cross_entropy(logits, gold).backward()
        optimizer.step()
        optimizer.zero_grad()
    yield tagger.eval()
    torch.set_num_threads(threads)


def majority_share(language):
    tags = [tag for s in corpus.treebank(language, "test", 128) for tag in s.tags]
    return max(tags.count(tag) for tag in set(tags)) / len(tags)


def falls(values, by=0.02):
    """Whether every value is lower than the one before, by more than chance would do."""
    return all(np.diff(values) < -by)


def test_accuracy_falls_with_the_share_of_common_vocabulary(tagger):
    clones = [CloneLanguage("qab", "B", shared_vocabulary=share) for share in (1.0, 0.8, 0.5, 0.2)]
    assert falls([tagger.accuracy(clone) for clone in clones])


def test_accuracy_falls_with_another_script(tagger):
    latin = CloneLanguage("qah", "H", "Latn", shared_vocabulary=0.5)
    cyrillic = CloneLanguage("qah", "H", "Cyrl", shared_vocabulary=0.5)
    assert falls([tagger.accuracy(latin), tagger.accuracy(cyrillic)])


@pytest.mark.parametrize("order", ["SOV", "VSO", "inverted"])
def test_accuracy_falls_with_another_word_order(tagger, order):
    clones = [CloneLanguage("qaa", "A", word_order=each) for each in ("SVO", order)]
    assert falls([tagger.accuracy(clone) for clone in clones], by=0.005)


def test_accuracy_falls_with_agglutination_and_noise(tagger):
    source = tagger.accuracy(QAA)
    assert tagger.accuracy(CloneLanguage("qaa", "A", agglutination=1.0)) < source - 0.02
    assert tagger.accuracy(CloneLanguage("qaa", "A", noise=0.3)) < source - 0.02


def test_the_suites_languages_span_from_close_to_distant_and_leave_room(tagger):
    score = {language.code: tagger.accuracy(language) for language in LANGUAGES}
    close, distant = ("qab", "qaf"), ("qac", "qad", "qae", "qaj")
    assert score["qaa"] > 0.9
    assert min(score[code] for code in close) > max(score[code] for code in distant) + 0.1
    assert max(score[code] for code in distant) < 0.8
    majority = np.mean([majority_share(language) for language in LANGUAGES])
    assert np.mean(list(score.values())) > majority + 0.2
