"""Fit a transform on parallel text, as the encoder below it sees that text.

Writes ``fitted.safetensors``: what the transform learnt. Nothing of the encoder changes.
"""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from xbench.api.transform import Unit
from xbench.data.tokenise import tokenise_texts
from xbench.data.tokenizer import Tokenizer
from xbench.nn.loading import AnyEncoder
from xbench.nn.optimise import autocast
from xbench.nn.views import Text, TextView, pad
from xbench.plan import Stage
from xbench.stages.bench import Bench, make_transform, text_format
from xbench.stages.files import FITTED
from xbench.store import Entry

BATCH = 64


def run(stage: Stage, bench: Bench, entry: Entry, tuned: AnyEncoder | None) -> None:
    """Fit on the stage's encoder, or on one that was fine-tuned."""
    encoder = bench.encoder(stage) if tuned is None else tuned
    view = EncodedText(stage, bench, encoder.eval())
    transform = make_transform(stage.spec["objective"], bench.context)
    with torch.no_grad():
        transform.fit(view)
    fitted = {name: value.detach().cpu().contiguous() for name, value in transform.fitted.items()}
    for name, value in fitted.items():
        if not bool(torch.isfinite(value).all()):
            raise FloatingPointError(f"{type(transform).__name__}: {name} is not finite")
    save_file(fitted, entry.folder / FITTED)
    entry.result = {"sentences": view.count, "languages": list(view.languages)}


class EncodedText:
    """The text that a transform is fitted on (:class:`xbench.api.FitView`), encoded when asked for.

    The text of each language comes paired with the source language's; sentences that not all
    languages have are left out, so row i says the same everywhere.
    """

    def __init__(self, stage: Stage, bench: Bench, encoder: AnyEncoder) -> None:
        self._encoder = encoder
        self._tokenizer: Tokenizer = bench.tokenizer(stage)
        self._settings = stage.spec["settings"]
        self._max_length = bench.max_length(stage, self._settings["max_length"])
        self._device = stage.recipe["device"]
        self._unit: Unit = stage.spec["unit"]
        self.source: str = stage.spec["source"]
        self._texts = _common(_read(stage, bench), self.source, self._settings["sentences"])
        self._known: dict[tuple[str, Unit], Tensor] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes, the source language first."""
        return tuple(self._texts)

    @property
    def unit(self) -> Unit:
        """What the transform will be applied to."""
        return self._unit

    @property
    def count(self) -> int:
        """Sentences in each language."""
        return len(self._texts[self.source])

    def vectors(self, language: str, unit: Unit | None = None) -> Tensor:
        """[N, D] pooled sentences, or [M, D] content tokens; float32."""
        wanted = unit or self._unit
        if (language, wanted) not in self._known:
            self._known[language, wanted] = self._encode(self._texts[language], wanted)
        return self._known[language, wanted]

    @torch.inference_mode()
    def _encode(self, texts: list[str], unit: Unit) -> Tensor:
        rows = list(tokenise_texts(self._tokenizer, texts, self._max_length))
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
        found: list[Tensor] = [torch.empty(0)] * len(rows)
        for start in range(0, len(order), BATCH):
            numbers = order[start : start + BATCH]
            vectors_of = self._batch([rows[n] for n in numbers], unit)
            for number, vectors in zip(numbers, vectors_of, strict=True):
                found[number] = vectors
        # out of inference mode: a transform may compute with it as it likes
        return torch.cat(found).clone()

    def _batch(self, rows: list[list[int]], unit: Unit) -> list[Tensor]:
        ids = pad(rows, self._tokenizer.vocabulary.pad_id).to(self._device)
        depth = self._settings.get("depth", 1.0)
        precision = self._settings["precision"]
        with autocast(precision, torch.device(self._device).type):
            view = TextView(self._encoder, Text(ids), text_format(self._tokenizer), ("fit",))
            if unit == "sentence":
                pooling = self._settings.get("sentence_pooling", "mean")
                return list(view.pooled(depth, pooling).float().unsqueeze(1))
            states_BTD = view.states(depth).float()
        return [states_BTD[n][mask] for n, mask in enumerate(view.content_mask)]


def _read(stage: Stage, bench: Bench) -> dict[str, dict[str, tuple[str, str]]]:
    """language -> item -> (text in the source language, its translation)."""
    source = bench.context.languages.get(stage.spec["source"])
    texts: dict[str, dict[str, tuple[str, str]]] = {}
    for code, where in stage.recipe["texts"].items():
        split = stage.spec["texts"][code]["split"]
        pairs = bench.source_at(where).read([source, bench.context.languages.get(code)], split)
        texts[code] = {
            pair.id or str(number): (pair.source, pair.target) for number, pair in enumerate(pairs)
        }
    return texts


def _common(
    texts: Mapping[str, Mapping[str, tuple[str, str]]], source: str, limit: int
) -> dict[str, list[str]]:
    """The first ``limit`` sentences that every language has; the source language comes first."""
    first: Mapping[str, Any] = next(iter(texts.values()), {})
    shared = [item for item in first if all(item in each for each in texts.values())][:limit]
    if not shared:
        raise ValueError(
            f"there is no text that {', '.join([source, *texts])} have in common to fit on"
        )
    own = [first[item][0] for item in shared]
    return {source: own} | {code: [t[i][1] for i in shared] for code, t in texts.items()}
