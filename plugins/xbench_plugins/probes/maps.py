"""Two-dimensional maps of sentences of all languages."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.probe import Probe, ProbeView, Row
from xbench_plugins.measures.languages import Sentences
from xbench_plugins.measures.maps import principal_components, tsne, umap
from xbench_plugins.probes.looking import Depths, layers, missing, relative
from xbench_plugins.probes.sentences import chosen_ids, take

Method = Literal["pca", "tsne", "umap"]
_MAPS: Mapping[str, Callable[[Tensor], Tensor]] = {"tsne": tsne, "umap": umap}


class Maps(Probe):
    """Where the sentences of each language lie on a map, made of all languages together.

    For each language ``pca_1`` and ``pca_2``, ``tsne_1`` and ``tsne_2``, and, if asked for,
    ``umap_1`` and ``umap_2``: the value is the mean coordinate of the language, its place on the
    map, and the items are the coordinates of its sentences, which come in the same order in all
    languages. ``pca_1_variance`` and ``pca_2_variance`` are the components' shares of the variance.

    Maps are to look at: coordinates of t-SNE and UMAP of two checkpoints do not compare. UMAP takes
    the extra ``umap``. (:mod:`xbench_plugins.measures.maps`.)
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """At which relative depths (or ``all`` layers), by which methods, of how many sentences each."""

        depths: Depths = (2 / 3, 1.0)
        methods: Annotated[tuple[Method, ...], Field(min_length=1)] = ("pca", "tsne")
        sentences: Annotated[int, Field(ge=2)] = 100

    sources: ClassVar[Mapping[str, str]] = {
        "depths": "ours: where the study retrieves, and the last layer",
        "methods": "ours",
        "sentences": "ours",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def depths(self) -> Sequence[float]:
        """Relative depths of the layers that are looked at."""
        return relative(self.config.depths)

    def measure(self, view: ProbeView) -> Iterable[Row]:
        """Rows for every method, layer and language."""
        ids = chosen_ids(view, self.config.sentences)
        for layer, depth in layers(view, self.depths()).items():
            try:
                sentences, note = take(view, ids, depth)
            except ValueError as error:
                for method in self.config.methods:
                    yield Row(f"{method}_1", None, None, layer, reason=str(error))
                continue
            for method in self.config.methods:
                try:
                    yield from _rows(method, sentences, layer, note)
                except ValueError as error:
                    yield Row(f"{method}_1", None, None, layer, reason=str(error))
        yield from missing(view, f"{self.config.methods[0]}_1")


def _rows(method: Method, sentences: Sentences, layer: int, note: str) -> Iterator[Row]:
    ordered, back = _in_order(sentences)
    if method == "pca":
        coordinates_N2, shares_2 = principal_components(ordered)
        for axis, share in enumerate(shares_2.tolist(), start=1):
            yield Row(f"pca_{axis}_variance", share, None, layer, len(ordered), note)
    else:
        try:
            coordinates_N2 = _MAPS[method](ordered)
        except ImportError:
            why = "the package umap-learn is not installed: pip install 'xbench[umap]'"
            yield Row(f"{method}_1", None, None, layer, reason=why)
            return
    coordinates_N2 = coordinates_N2[back]
    for code in dict.fromkeys(sentences.languages):
        own_n2 = coordinates_N2[[each == code for each in sentences.languages]]
        for axis, own_n in enumerate(own_n2.T, start=1):
            place = float(own_n.mean())
            yield Row(f"{method}_{axis}", place, code, layer, len(own_n), note, own_n)


def _in_order(sentences: Sentences) -> tuple[Tensor, Tensor]:
    """(the vectors by id and language, so that a map does not depend on their order; the way back)."""
    keys = list(zip(sentences.ids, sentences.languages, strict=True))
    order = torch.tensor(sorted(range(len(keys)), key=lambda n: keys[n]))
    return sentences.vectors[order], order.argsort()
