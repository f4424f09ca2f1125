"""How plainly a sentence vector says which language it is in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from xbench.api.probe import Probe, ProbeView, Row
from xbench_plugins.measures.languages import Sentences, guess_languages
from xbench_plugins.probes.looking import Depths, layers, missing, relative
from xbench_plugins.probes.sentences import chosen_ids, take


class LanguageIdentification(Probe):
    """The accuracy at which a linear classifier tells languages apart, against chance.

    A multinomial logistic regression on standardised mean-pooled sentences, cross-validated so that
    no sentence is guessed by a classifier that has seen its translation
    (:func:`xbench_plugins.measures.languages.guess_languages`).

    - ``language_accuracy``, of all languages together (a row without a language) and of each, where
      items are its sentences;
    - ``language_chance``, the share of the most frequent language: what a guess would have.

    An accuracy at chance means that languages cannot be told apart linearly. Near 1 is what
    untouched encoders have, and does not preclude transfer.
    Source: Libovicky et al. 2020, *On the Language Neutrality of Pre-trained Multilingual
    Representations* (arXiv 2004.05160).
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """At which relative depths (or ``all`` layers).

        ``sentences`` of each language are used, the same in all; ``strength`` is the inverse of
        the regularisation.
        """

        depths: Depths = (2 / 3, 1.0)
        sentences: Annotated[int, Field(ge=2)] = 200
        folds: Annotated[int, Field(ge=2)] = 5
        strength: Annotated[float, Field(gt=0)] = 1.0

    sources: ClassVar[Mapping[str, str]] = {
        "depths": "ours: where the study retrieves, and the last layer",
        "sentences": "ours",
        "folds": "ours",
        "strength": "code: the default of scikit-learn",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def depths(self) -> Sequence[float]:
        """Relative depths of the layers that are looked at."""
        return relative(self.config.depths)

    def measure(self, view: ProbeView) -> Iterable[Row]:
        """Rows for every layer: all languages, and each."""
        ids = chosen_ids(view, self.config.sentences)
        for layer, depth in layers(view, self.depths()).items():
            try:
                sentences, note = take(view, ids, depth)
                guesses = guess_languages(sentences, self.config.folds, self.config.strength)
            except ValueError as error:
                yield Row("language_accuracy", None, None, layer, reason=str(error))
                continue
            right_N = torch.from_numpy(guesses.right).float()
            note = "; ".join(part for part in (note, guesses.note) if part)
            yield from _rows(sentences, right_N, layer, note)
        yield from missing(view, "language_accuracy")


def _rows(sentences: Sentences, right_N: torch.Tensor, layer: int, note: str) -> Iterator[Row]:
    count = len(right_N)
    accuracy = float(right_N.double().mean())
    yield Row("language_accuracy", accuracy, None, layer, count, note)
    languages = list(dict.fromkeys(sentences.languages))
    sizes = [sentences.languages.count(code) for code in languages]
    yield Row("language_chance", max(sizes) / count, None, layer, count)
    for code in languages:
        own_n = right_N[[each == code for each in sentences.languages]]
        found = float(own_n.double().mean())
        yield Row("language_accuracy", found, code, layer, len(own_n), note, own_n)
