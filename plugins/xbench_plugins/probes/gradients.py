"""Gradients against each other: does learning the one help or hinder the other?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from xbench.api.probe import Gradients, Probe, ProbeView, Row
from xbench.api.source import MissingData
from xbench_plugins.measures import gradients as measures
from xbench_plugins.measures.gradients import Comparison, Gradient, Mean, Value

Against = Literal[
    "task_vs_objective",
    "task_vs_source_task",
    "masked_lm_vs_source_masked_lm",
    "masked_lm_vs_source_task",
]
SECOND: Mapping[str, str] = {
    "task_vs_objective": "objective",
    "task_vs_source_task": "source_task",
    "masked_lm_vs_source_masked_lm": "source_masked_lm",
    "masked_lm_vs_source_task": "source_task",
}
"""What each comparison holds a language's gradient against."""

Scope = tuple[str, int | None, tuple[str, ...]]
"""(what is added to a metric's name, layer, parameters)."""

SIMPLE: Mapping[str, Callable[[Comparison], Value]] = {
    "cosine": measures.cosine,
    "cosine_corrected": measures.corrected_cosine,
    "norm_ratio": measures.ratio,
}
"""Measured everywhere: of all parameters, of each layer and of each kind of module."""
FURTHER: Mapping[str, Callable[[Comparison], Value]] = {
    "norm_similarity": measures.similarity,
    "interference": measures.interference,
    "norm_first": lambda pair: measures.norm(pair.first),
    "norm_second": lambda pair: measures.norm(pair.second),
    "ceiling_first": lambda pair: measures.ceiling(pair.first),
    "ceiling_second": lambda pair: measures.ceiling(pair.second),
}
"""Measured of all parameters, with and without embeddings."""


def _even(parts: int) -> int:
    if parts % 2:
        raise ValueError("parts must be even: half of them for each of two gradients")
    return parts


class GradientAgreement(Probe):
    """Gradients of a checkpoint against each other, language by language.

    Comparisons ``first_vs_second`` (g, h), each in every language of the parallel text:

    - ``task_vs_objective``: the task's loss in the language, the alignment objective's loss;
    - ``task_vs_source_task``: the task's loss in the language and in the source language;
    - ``masked_lm_vs_source_masked_lm``: masked language modelling, likewise;
    - ``masked_lm_vs_source_task``: masked language modelling in the language, and the task's loss
      in the source language, which is what fine-tuning follows.

    Metrics, after the comparison's name and an underscore: ``cosine``; ``cosine_corrected`` for the
    noise of both gradients, undefined where a gradient cannot be told from noise; ``norm_ratio``
    |h| / |g|; ``norm_similarity``; ``interference`` <g, h> / |h|, what a step of length 1 down h
    takes off the loss of g; ``norm_first``, ``norm_second``; ``ceiling_first``,
    ``ceiling_second``, the cosine of a gradient with itself on other data; ``conflict_rate``, the
    share of layers whose cosine is negative. The first three are given for each layer too, and
    with the kind of module behind (``..._cosine_attention``); all of them with
    ``_without_embeddings``, since the embedding matrix is sparse and dominates.

    Noise: a gradient is taken over ``parts`` disjoint sets of batches, the first half of them for
    g and the second half for h, so that no text is in both, not even where g and h are of one
    language and task. That case, the source language's ``..._vs_source_...``, is the check: its
    corrected cosine is 1 but for chance.

    Memory: beside the encoder at most four copies of its gradient (two that languages are held
    against, the sum of parts, and the part at hand), however many languages, parts and layers.

    Sources: Wang, Tsvetkov, Firat and Cao 2021 (arXiv 2010.05874) for cosines of languages'
    gradients by layer; Yu et al. 2020 (arXiv 2001.06782, PCGrad) for conflict and similarity of
    lengths; the correction is Spearman's 1904 for attenuation.
    """

    version = 2
    needs: ClassVar[frozenset[str]] = frozenset({"gradients"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """In how many disjoint parts gradients are taken, and which are compared."""

        parts: Annotated[int, Field(ge=4), AfterValidator(_even)] = 4
        comparisons: tuple[Against, ...] = cast(tuple[Against, ...], tuple(SECOND))
        layers: bool = True
        modules: bool = True

    sources: ClassVar[Mapping[str, str]] = {
        "parts": "reconstruction: the study has no noise correction; two halves of each gradient",
        "comparisons": "paper, its three analyses of gradients; against the source: reconstruction",
        "layers": "ours",
        "modules": "ours",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def depths(self) -> Sequence[float]:
        """No states are read."""
        return ()

    def measure(self, view: ProbeView) -> Iterator[Row]:
        """Rows for each comparison and language; one with the reason where there is no gradient."""
        gradients, source = view.gradients, view.source
        task, masked_lm = gradients.of_task, gradients.of_masked_lm
        asked = set(self.config.comparisons)
        source_task = None
        if "source_task" in {SECOND[name] for name in asked}:
            source_task = self._second(self._task_lacks(gradients), partial(task, source))
        if asked & {"task_vs_objective", "task_vs_source_task"}:
            against: dict[str, Mean | str | None] = {"source_task": source_task}
            if "task_vs_objective" in asked:
                lacks = "" if gradients.objective else "the encoder was aligned by no objective"
                against["objective"] = self._second(lacks, gradients.of_objective)
            for code in view.languages:
                yield from self._language(gradients, "task", code, task, against)
            del against
        if asked & {"masked_lm_vs_source_masked_lm", "masked_lm_vs_source_task"}:
            against = {"source_task": source_task}
            if "masked_lm_vs_source_masked_lm" in asked:
                against["source_masked_lm"] = self._second("", partial(masked_lm, source))
            for code in view.languages:
                yield from self._language(gradients, "masked_lm", code, masked_lm, against)

    @staticmethod
    def _task_lacks(gradients: Gradients) -> str:
        return "" if gradients.task else "no task's head was fitted on this encoder"

    def _second(self, lacking: str, take: Callable[[int, int], Gradient]) -> Mean | str:
        """The mean over the second half of the parts, or why there is none."""
        half, parts = self.config.parts // 2, self.config.parts
        return lacking or _mean(take, range(half, parts), parts)

    def _language(
        self,
        gradients: Gradients,
        first: str,
        language: str,
        take: Callable[[str, int, int], Gradient],
        against: Mapping[str, Mean | str | None],
    ) -> Iterator[Row]:
        """One language's gradient against each of ``against``; frees it at the end."""
        lacking = self._task_lacks(gradients) if first == "task" else ""
        parts = self.config.parts
        found = lacking or _mean(partial(take, language), range(parts // 2), parts)
        for name in self.config.comparisons:
            if not name.startswith(f"{first}_vs_"):
                continue
            second = against[SECOND[name]]
            if not isinstance(found, Mean) or not isinstance(second, Mean):
                why = second if isinstance(found, Mean) else found
                yield Row(f"{name}_cosine", None, language, reason=str(why))
                continue
            inner = measures.inner_products(found, second)
            for metric, layer, value, n in self._measured(gradients, found, second, inner):
                yield Row(f"{name}_{metric}", value.value, language, layer, n, value.reason)

    def _measured(
        self, gradients: Gradients, first: Mean, second: Mean, inner: Mapping[str, float]
    ) -> Iterator[tuple[str, int | None, Value, int | None]]:
        """(metric, layer, value, n) of one pair of gradients."""
        of_layers: list[Value] = []
        for suffix, layer, names in self._scopes(gradients, sorted({*first.total, *second.total})):
            pair = measures.compare(first, second, inner, names)
            whole = layer is None and suffix in ("", WITHOUT_EMBEDDINGS)
            for metric, measure in {**SIMPLE, **(FURTHER if whole else {})}.items():
                value = measure(pair)
                if layer is None or self.config.layers:
                    yield f"{metric}{suffix}", layer, value, None
                if layer is not None and metric == "cosine":
                    of_layers.append(value)
        rate, n = measures.conflict_rate(of_layers)
        yield "conflict_rate", None, rate, n

    def _scopes(self, gradients: Gradients, names: Sequence[str]) -> Iterator[Scope]:
        """All parameters, all but embeddings, each kind of module, each layer."""
        places = {name: gradients.module_of(name) for name in names}
        yield "", None, tuple(names)
        inside = tuple(name for name in names if places[name][1] != "embeddings")
        yield WITHOUT_EMBEDDINGS, None, inside
        for kind in sorted({kind for _, kind in places.values()}) if self.config.modules else ():
            yield f"_{kind}", None, tuple(n for n in names if places[n][1] == kind)
        for layer in sorted({layer for layer, _ in places.values() if layer is not None}):
            yield "", layer, tuple(n for n in names if places[n][0] == layer)


WITHOUT_EMBEDDINGS = "_without_embeddings"


def _mean(take: Callable[[int, int], Gradient], parts: range, of: int) -> Mean | str:
    """The mean gradient over some of the parts, or why there is no data."""
    try:
        return measures.mean_gradient(take(part, of) for part in parts)
    except MissingData as missing:
        return str(missing)
