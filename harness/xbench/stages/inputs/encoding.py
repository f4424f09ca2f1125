"""Sentences and words through an encoder, each text once for all layers that are asked for."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from xbench.api.probe import Pair
from xbench.api.source import MissingData
from xbench.data.tokenise import tokenise_texts
from xbench.data.words import owners, word_spans
from xbench.keys import key_of
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.finite import check_vectors
from xbench.nn.optimise import autocast
from xbench.nn.text import Text, pad
from xbench.nn.text_view import TextView
from xbench.plan import Stage
from xbench.plan.kinds.probe import ProbeStage
from xbench.stages.resources import Resources, text_format

Entries = Sequence[tuple[str, str]]
Span = tuple[int, int]
"""The first of several words in a row, and the one after the last."""
Link = tuple[int, Span, Span]


class Encoding:
    """Encodes text for probes. What was encoded is kept for the other probes of the job."""

    def __init__(self, stage: ProbeStage, resources: Resources, encoder: AnyEncoder) -> None:
        settings = stage.spec.settings
        self._resources = resources
        self._encoder = encoder
        self._tokenizer = resources.tokenizer(stage)
        self._format = text_format(self._tokenizer)
        self._max_length = resources.max_length(stage, settings.max_length)
        self._batch_size = settings.batch_size
        self._precision = settings.precision
        self._device = stage.places.device
        self._layers = sorted({encoder.layer_at(depth) for depth in stage.places.depths})
        # What vectors depend on beside the text: probes of a job need not share all of it.
        self._checkpoint = (
            stage.spec.encoder and key_of(stage.spec.encoder),
            stage.spec.finetune,
            self._max_length,
            self._precision,
        )

    def pooled(self, name: Hashable, texts: Sequence[str], depth: float) -> Tensor:
        """[N, D] float32 means over content tokens; ``name`` says which texts these are."""
        layer = self._encoder.layer_at(depth)
        layers = sorted({*self._layers, layer})
        kept = self._resources.keep(
            ("states", self._checkpoint, name, len(texts), tuple(layers)),
            lambda: self.states(texts, layers),
        )
        return kept[layer]

    def states(self, texts: Sequence[str], layers: Sequence[int]) -> dict[int, Tensor]:
        """Layer -> [N, D] float32 means over content tokens, encoded anew."""
        rows = list(tokenise_texts(self._tokenizer, texts, self._max_length))
        size = self._encoder.config.hidden_size
        # made outside of inference mode: a probe may compute with them as it likes
        found = {layer: torch.zeros(len(rows), size) for layer in layers}

        def encode(numbers: list[int]) -> None:
            with torch.inference_mode():
                view = self._view([rows[n] for n in numbers])
                for layer in layers:
                    with autocast(self._precision, torch.device(self._device).type):
                        pooled_BD = view.pooled(self._depth(layer))
                    found[layer][numbers] = pooled_BD.float().cpu()

        lanes = self._resources.lanes if self._device == "cpu" else 1
        with ThreadPoolExecutor(lanes) as pool:  # each batch is one thread's: results do not change
            list(pool.map(encode, self._runs([len(row) for row in rows])))
        return found

    def words_in_context(
        self, pair: Pair, sentences: Sequence[tuple[str, str]], entries: Entries, depth: float
    ) -> tuple[Tensor, Tensor]:
        """([K, D], [K, D]) of entries whose two words stand in a sentence pair, each used once.

        Raises ``MissingData`` where there are none.
        """
        layer = self._encoder.layer_at(depth)
        layers = sorted({*self._layers, layer})
        kept = self._resources.keep(
            ("words", self._checkpoint, pair, len(sentences), len(entries), tuple(layers)),
            lambda: self._in_context(sentences, entries, layers),
        )
        if not len(kept[layer][0]):
            raise MissingData(
                f"none of {len(entries)} dictionary entries stands in a pair of sentences, word for word"
            )
        return kept[layer]

    def _in_context(
        self, sentences: Sequence[tuple[str, str]], entries: Entries, layers: Sequence[int]
    ) -> dict[int, tuple[Tensor, Tensor]]:
        links = [
            (number, words)
            for number, *words in find_entries(sentences, entries)
            if all(map(self._is_whole, sentences[number], words))
        ]
        sides = [
            self.word_vectors([(sentences[s][n], words[n]) for s, words in links], layers)
            for n in (0, 1)
        ]
        return {layer: (sides[0][layer], sides[1][layer]) for layer in layers}

    def _is_whole(self, text: str, words: Span) -> bool:
        """Whether words are left where their text is cut to the length that the encoder gets."""
        ((_, offsets),) = self._tokenizer.encode_with_offsets([text])
        room = self._max_length - self._tokenizer.special_tokens_single
        return words[0] in owners(offsets[:room], _joined(text, words))

    @torch.inference_mode()
    def word_vectors(
        self, wanted: Sequence[tuple[str, Span]], layers: Sequence[int]
    ) -> dict[int, Tensor]:
        """Words in a row of each text, as the mean of their subwords."""
        encoded = self._tokenizer.encode_with_offsets([text for text, _ in wanted])
        room = self._max_length - self._tokenizer.special_tokens_single
        before = [-1] * self._tokenizer.content_start
        rows, owned = [], []
        for (text, words), (ids, offsets) in zip(wanted, encoded, strict=True):
            rows.append(self._tokenizer.build_single(ids[:room]))
            owned.append([*before, *owners(offsets[:room], _joined(text, words))])
        size = self._encoder.config.hidden_size
        found = {layer: torch.zeros(len(rows), size) for layer in layers}
        for numbers in self._runs([len(row) for row in rows]):
            batch = [rows[n] for n in numbers]
            width = max(map(len, batch))
            owner = pad([owned[n] + [-1] * (width - len(owned[n])) for n in numbers], -1)
            view = self._view(batch, owner.to(self._device))
            place = torch.tensor([wanted[n][1][0] for n in numbers])
            for layer in layers:
                with autocast(self._precision, torch.device(self._device).type):
                    words_BWD = view.words(self._depth(layer)).float().cpu()
                found[layer][numbers] = words_BWD[torch.arange(len(numbers)), place]
        return {layer: vectors.clone() for layer, vectors in found.items()}

    def _view(self, rows: Sequence[list[int]], owner: Tensor | None = None) -> TextView:
        ids = pad(rows, self._format.vocabulary.pad_id).to(self._device)
        return TextView(self._encoder, Text(ids, owners=owner), self._format, ("probe",))

    def _runs(self, lengths: Sequence[int]) -> list[list[int]]:
        """Batches of rows of about the same length."""
        order = np.argsort(lengths, kind="stable").tolist()
        size = self._batch_size
        return [order[start : start + size] for start in range(0, len(order), size)]

    def _depth(self, layer: int) -> float:
        return layer / self._encoder.config.num_layers


def find_entries(sentences: Sequence[tuple[str, str]], entries: Entries) -> list[Link]:
    """(sentence, words of its source, words of its target) of entries that stand in a sentence pair.

    Each sentence and each entry counts at most once, in the order of the sentences; words are
    compared lower-cased and without punctuation at their ends (Gaschi et al. 2022). An entry of
    several words, which characters of a script without spaces are, stands where these follow each
    other; the longest entry comes first.
    """
    wanted: dict[Words, set[Words]] = {}
    for source, target in entries:
        pair = _words(source), _words(target)
        if all(pair) and "" not in {*pair[0], *pair[1]}:
            wanted.setdefault(pair[0], set()).add(pair[1])
    longest = max(map(len, wanted), default=0)
    found: list[Link] = []
    used: set[tuple[Words, Words]] = set()
    for number, texts in enumerate(sentences):
        first, second = map(_words, texts)
        for start, words in _runs_of(first, longest):
            free = [t for t in sorted(wanted.get(words, ())) if (words, t) not in used]
            there = next(((t, at) for t in free if (at := _place(t, second)) is not None), None)
            if there is not None:
                translation, at = there
                used.add((words, translation))
                spans = (start, start + len(words)), (at, at + len(translation))
                found.append((number, *spans))
                break
    return found


Words = tuple[str, ...]


def _runs_of(words: Words, longest: int) -> Iterator[tuple[int, Words]]:
    """(place, words) of every run of at most so many words, the longest at each place first."""
    for start in range(len(words)):
        for length in range(min(longest, len(words) - start), 0, -1):
            yield start, words[start : start + length]


def _place(wanted: Words, words: Words) -> int | None:
    """Where words first stand one after the other among others."""
    size = len(wanted)
    starts = range(len(words) - size + 1)
    return next((n for n in starts if words[n : n + size] == wanted), None)


def _words(text: str) -> Words:
    """The words at their places, lower-cased and bare."""
    return tuple(text[start:end].lower().strip(PUNCTUATION) for start, end in word_spans(text))


def _joined(text: str, words: Span) -> list[tuple[int, int]]:
    """The places of a text's words in characters, those of ``words`` as one, at the first's number."""
    spans, (start, end) = word_spans(text), words
    return [*spans[:start], (spans[start][0], spans[end - 1][1]), *spans[end:]]


PUNCTUATION = ".,;:!?\"'()[]{}«»“”‘’„…-–—。、，！？「」"


BATCH = 64


Vectors = Callable[[TextView], Iterable[Tensor]]


def encoded(
    texts: Sequence[str],
    language: str,
    stage: Stage,
    resources: Resources,
    encoder: AnyEncoder,
    vectors: Vectors,
) -> list[Tensor]:
    """For each text what ``vectors`` gives for its row of a view, float32.

    The stage's settings have ``max_length`` and ``precision``, and may have ``batch_size``. The
    tensors are ordinary ones: what is done with them later may change them in place, or take
    gradients. Raises :class:`~xbench.nn.finite.NotFinite` where a number of them is none.
    """
    settings, tokenizer = stage.spec.settings, resources.tokenizer(stage)
    max_length = resources.max_length(stage, settings.max_length)
    rows = list(tokenise_texts(tokenizer, texts, max_length))
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    device, format = stage.places.device, text_format(tokenizer)
    batch_size = getattr(settings, "batch_size", BATCH)
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        ids = pad([rows[n] for n in numbers], format.vocabulary.pad_id).to(device)
        with torch.no_grad(), autocast(settings.precision, torch.device(device).type):
            parts = vectors(TextView(encoder, Text(ids), format, (stage.kind,)))
            for number, part in zip(numbers, parts, strict=True):
                found[number] = part.float()
    of = f"{stage.label}, the text in {language}"
    check_vectors(found, of, encoder, settings.precision)
    return found
