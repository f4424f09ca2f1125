"""Fit a transform on parallel text, as the encoder below it sees that text.

Writes ``fitted.safetensors``: what the transform learnt. Nothing of the encoder changes.
"""

from collections.abc import Iterable, Mapping

import torch
from safetensors.torch import save_file
from torch import Tensor

from xbench.api.transform import Transform, Unit
from xbench.catalogue.configs import make_component
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.finite import NotFinite
from xbench.nn.text_view import TextView
from xbench.plan.artefacts import FITTED
from xbench.plan.kinds.fit import FitStage
from xbench.stages.inputs.encoding import encoded
from xbench.stages.resources import Resources
from xbench.store import Entry


def run(stage: FitStage, resources: Resources, entry: Entry) -> None:
    """Fit on the stage's encoder, or on one that was fine-tuned."""
    if stage.spec.finetune is not None:
        encoder = resources.model(stage.spec.finetune).encoder
    else:
        encoder = resources.encoder(stage)
    view = EncodedText(stage, resources, encoder.eval())
    transform: Transform = make_component("objectives", stage.spec.objective, resources.catalogue)
    with torch.no_grad():
        transform.fit(view)
    # Each a tensor of its own: parts of one cannot be saved.
    whole = torch.contiguous_format
    fitted = {
        name: value.detach().cpu().clone(memory_format=whole)
        for name, value in transform.fitted.items()
    }
    for name, value in fitted.items():
        if not bool(torch.isfinite(value).all()):
            raise NotFinite(f"{type(transform).__name__}: {name} is not finite")
    save_file(fitted, entry.folder / FITTED)
    entry.result = {"sentences": view.count, "languages": list(view.languages)}


class EncodedText:
    """The text that a transform is fitted on (:class:`xbench.api.FitView`), encoded when asked for.

    The text of each language comes paired with the source language's; sentences that not all
    languages have are left out, so row i says the same everywhere.
    """

    def __init__(self, stage: FitStage, resources: Resources, encoder: AnyEncoder) -> None:
        self._stage = stage
        self._resources = resources
        self._encoder = encoder
        self._unit: Unit = stage.spec.unit
        self.source: str = stage.spec.source
        limit = stage.spec.settings.sentences
        self._texts = _common(_read(stage, resources), self.source, limit)
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
            self._known[language, wanted] = self._encode(language, wanted)
        return self._known[language, wanted]

    def _encode(self, language: str, unit: Unit) -> Tensor:
        texts, settings = self._texts[language], self._stage.spec.settings
        depth = 1.0 if settings.depth is None else settings.depth
        pooling = settings.sentence_pooling or "mean"

        def vectors(view: TextView) -> Iterable[Tensor]:
            if unit == "sentence":
                return view.pooled(depth, pooling).unsqueeze(1)
            rows = zip(view.states(depth), view.content_mask, strict=True)
            return [states_TD[mask_T] for states_TD, mask_T in rows]

        return torch.cat(
            encoded(texts, language, self._stage, self._resources, self._encoder, vectors)
        )


def _read(stage: FitStage, resources: Resources) -> dict[str, dict[str, tuple[str, str]]]:
    """language -> item -> (text in the source language, its translation)."""
    source = resources.catalogue.languages.get(stage.spec.source)
    texts: dict[str, dict[str, tuple[str, str]]] = {}
    for code, place in stage.places.texts.items():
        split = stage.spec.texts[code].split
        pairs = resources.source_at(place).read(
            [source, resources.catalogue.languages.get(code)], split
        )
        texts[code] = {
            pair.id or str(number): (pair.source, pair.target) for number, pair in enumerate(pairs)
        }
    return texts


def _common(
    texts: Mapping[str, Mapping[str, tuple[str, str]]], source: str, limit: int
) -> dict[str, list[str]]:
    """The first ``limit`` sentences that every language has; the source language comes first.

    A sentence is the same where its id and its text in the source language are.
    """
    every = list(texts.values())
    own = {item: pair[0] for item, pair in (every[0] if every else {}).items()}
    shared = [
        item for item, text in own.items() if all(e.get(item, ("",))[0] == text for e in every)
    ]
    if not shared:
        raise ValueError(
            f"no sentence of {source} has a translation in all of {', '.join(texts)}: there is "
            f"nothing to fit on"
        )
    chosen = shared[:limit]
    return {source: [own[item] for item in chosen]} | {
        code: [each[item][1] for item in chosen] for code, each in texts.items()
    }
