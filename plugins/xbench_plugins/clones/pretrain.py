"""Pre-training of the suite's encoder: masked language modelling on monolingual text only."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForMaskedLM

from xbench_plugins.clones.corpus import monolingual_text
from xbench_plugins.clones.languages import LANGUAGES

Report = Callable[[str], None]

_CHUNK = 64
"""Batches whose sentences are sorted by length together, to save padding."""

_INITIAL_SPREAD = 0.08
"""Of the weights. From the usual 0.02, layers this narrow take far longer to learn to attend."""


@dataclass(frozen=True)
class Pretraining:
    """The settings of pre-training; with the same ones, one machine gives the same encoder."""

    steps: int = 2500
    batch_size: int = 64
    sentences: int = 15_000
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    masked: float = 0.15
    seed: int = 42


def new_encoder(tokenizer: PreTrainedTokenizerFast) -> XLMRobertaForMaskedLM:
    """An untrained encoder, 4 layers x 128, for the tokenizer's vocabulary; without dropout."""
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=130,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=_INITIAL_SPREAD,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return XLMRobertaForMaskedLM(config)


def pretrain(
    tokenizer: PreTrainedTokenizerFast, settings: Pretraining, report: Report
) -> XLMRobertaForMaskedLM:
    """An encoder trained on monolingual text of all clone languages, as much of each.

    Dropout is off, as an encoder this small underfits, and it is off in the config: later training
    takes some hundred steps, and dropout would cost it a fifth of its time. The config asks for the
    usual spread of new weights, 0.02.
    ``report`` is given a line of progress now and then.
    """
    torch.manual_seed(settings.seed)
    random = np.random.Generator(np.random.PCG64(settings.seed))
    report(f"reading {settings.sentences} sentences of each of {len(LANGUAGES)} languages")
    sentences = _encoded_text(tokenizer, settings.sentences)
    model = new_encoder(tokenizer).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _triangle(settings))
    masking = Masking(tokenizer, settings.masked, random)
    batches = _batches(sentences, settings.batch_size, random)
    average = float(np.log(len(tokenizer)))
    for step in range(1, settings.steps + 1):
        inputs, labels = masking.apply(next(batches))
        loss = _loss(model, inputs, labels, masking.pad_id)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        average += (float(loss.detach()) - average) * 0.02
        if step % 250 == 0 or step == settings.steps:
            report(f"step {step} of {settings.steps}: MLM loss {average:.3f} (running mean)")
    model.config.initializer_range = 0.02
    return model.eval()


def _triangle(settings: Pretraining) -> Callable[[int], float]:
    """Linear warm-up to 1, then linear decay to 0."""
    rise = max(1, round(settings.steps * settings.warmup))
    return lambda step: min((step + 1) / rise, (settings.steps - step) / settings.steps)


def _encoded_text(tokenizer: PreTrainedTokenizerFast, count: int) -> list[list[int]]:
    texts = [text for language in LANGUAGES for text in monolingual_text(language, count)]
    ids: list[list[int]] = tokenizer(texts, return_attention_mask=False)["input_ids"]
    return ids


def _batches(
    sentences: list[list[int]], batch_size: int, random: np.random.Generator
) -> Iterator[list[list[int]]]:
    """Endless batches of random sentences of similar length, languages mixed."""
    while True:
        order = random.permutation(len(sentences))
        for start in range(0, len(order), batch_size * _CHUNK):
            chunk = sorted(order[start : start + batch_size * _CHUNK], key=_length_in(sentences))
            rows = [chunk[at : at + batch_size] for at in range(0, len(chunk), batch_size)]
            for place in random.permutation(len(rows)):
                yield [sentences[index] for index in rows[place]]


def _length_in(sentences: list[list[int]]) -> Callable[[int], int]:
    return lambda index: len(sentences[index])


class Masking:
    """BERT's masking: of the chosen tokens 80 % become the mask, 10 % another token, 10 % stay."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, share: float, random: np.random.Generator
    ) -> None:
        self._random = random
        self._share = share
        self._vocabulary = len(tokenizer)
        self._mask_id = tokenizer.mask_token_id
        self.pad_id = tokenizer.pad_token_id
        self._special = np.array(tokenizer.all_special_ids)

    def apply(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """``[B, T]`` masked ids and ``[B, T]`` labels, -100 where nothing is to be predicted."""
        ids = np.full((len(rows), max(map(len, rows))), self.pad_id, dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        chosen = (self._random.random(ids.shape) < self._share) & ~np.isin(ids, self._special)
        labels = np.where(chosen, ids, -100)
        fate = self._random.random(ids.shape)
        others = self._random.integers(len(self._special) - 1, self._vocabulary - 1, ids.shape)
        masked = np.where(chosen & (fate < 0.8), self._mask_id, ids)
        masked = np.where(chosen & (fate >= 0.9), others, masked)
        return torch.from_numpy(masked), torch.from_numpy(labels)


def _loss(model: XLMRobertaForMaskedLM, inputs: Tensor, labels: Tensor, pad_id: int) -> Tensor:
    """Cross-entropy at the masked positions; only those go through the language-model head."""
    states = model.roberta(inputs, attention_mask=inputs != pad_id).last_hidden_state
    chosen = labels != -100
    return cross_entropy(model.lm_head(states[chosen]), labels[chosen], reduction="sum") / max(
        1, int(chosen.sum())
    )
