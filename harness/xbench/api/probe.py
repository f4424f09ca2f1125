"""A probe measures one checkpoint; changes and correlations are the report's business."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor

Pair = tuple[str, str]
Where = Literal["isolation", "context"]


@dataclass(frozen=True)
class Row:
    """One measured value of a checkpoint.

    ``language`` is a code, or a pair in the direction that was measured, as ``deu-eng``; ``layer``
    counts from the embedding output, 0. ``value`` is None where the measure is undefined, and
    ``reason`` says why; a ``reason`` beside a value flags it. ``items`` [n] are contributions per
    item whose mean is the value, where a bootstrap over items makes sense.
    """

    metric: str
    value: float | None
    language: str | None = None
    layer: int | None = None
    n: int | None = None
    reason: str = ""
    items: Tensor | None = None


class ProbeView(Protocol):
    """A checkpoint, and the text that it is looked at through.

    The parallel text says the same in all languages, sentence by sentence, joined by the
    sentences' ids. States are computed once for all probes of a checkpoint, in evaluation mode,
    float32 on the CPU, and no layer above the highest ``depth`` of any probe is run.
    N sentences, D dimensions.
    """

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that there is parallel text of, the source language first."""
        ...

    @property
    def missing(self) -> Mapping[str, str]:
        """Languages without parallel text, and why."""
        ...

    @property
    def source(self) -> str:
        """The language that tasks are learnt in."""
        ...

    @property
    def groups(self) -> Mapping[str, tuple[Pair, ...]]:
        """The suite's named groups of language pairs, as far as there is text of both."""
        ...

    @property
    def trained_on(self) -> frozenset[str]:
        """Languages whose text the checkpoint's alignment saw; none for an untouched encoder."""
        ...

    def layer(self, depth: float) -> int:
        """The layer at a relative depth: 0 the embedding output, 1 the last one."""
        ...

    def ids(self, language: str) -> tuple[str, ...]:
        """[N] the sentences' ids, in the order of ``pooled``."""
        ...

    def pooled(self, language: str, depth: float) -> Tensor:
        """[N, D] mean over content tokens, of all sentences of a language."""
        ...

    def pair(self, pair: Pair, depth: float) -> tuple[Tensor, Tensor]:
        """([N, D], [N, D]): row i of the second is the translation of row i of the first."""
        ...

    def words(self, pair: Pair, depth: float, where: Where = "isolation") -> tuple[Tensor, Tensor]:
        """([K, D], [K, D]): vectors of dictionary entries, the mean of their subwords.

        ``isolation`` encodes each word as a text of its own; ``context`` takes entries where both
        words stand in the two sides of a parallel sentence, each sentence and each entry at most
        once (Gaschi et al. 2022); of several words, or characters of a script without spaces, in a
        row. Raises ``MissingData`` without a dictionary for the pair.
        """
        ...

    @property
    def gradients(self) -> "Gradients":
        """Gradients with respect to the encoder; only for a probe that needs ``gradients``."""
        ...


Gradient = Mapping[str, Tensor]
"""The encoder's trainable parameters by name -> the gradient of a loss, float32, on the CPU."""


class Gradients(Protocol):
    """Gradients of losses on held-out text, with respect to the encoder's own parameters.

    Each is the gradient of the mean loss over ``part`` of ``parts`` disjoint sets of batches, the
    same batches whenever it is asked for again, in evaluation mode (dropout off).
    """

    @property
    def task(self) -> str | None:
        """The task whose head was fitted on this encoder, frozen; None where there is none."""
        ...

    @property
    def objective(self) -> str | None:
        """The alignment objective, as ``hictl:S1W0M0``; None for an encoder without one."""
        ...

    def of_task(self, language: str, part: int, parts: int) -> Gradient:
        """The task's loss on labelled text of a language that no training saw.

        Raises ``MissingData`` where there is none.
        """
        ...

    def of_objective(self, part: int, parts: int) -> Gradient:
        """The alignment objective's loss on held-out pairs."""
        ...

    def of_masked_lm(self, language: str, part: int, parts: int) -> Gradient:
        """The masked language modelling loss on the parallel text of a language."""
        ...

    def module_of(self, name: str) -> tuple[int | None, str]:
        """(layer, or None outside the layers; kind of module) of a parameter.

        Kinds are ``embeddings``, ``attention``, ``feed_forward``, ``norm`` and ``other``.
        """
        ...


class Probe:
    """Measures representations or gradients of one checkpoint and yields rows of results.

    ``needs`` names what it looks at beyond parallel text: ``dictionary``, ``gradients``.
    ``depths(config)`` are the relative depths that it will ask for. ``Config`` (a frozen
    dataclass, every field with a default), ``sources`` and ``version`` are as for an objective.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    sources: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    def depths(self) -> Sequence[float]:
        """The relative depths whose states it reads; by default ``config.depths``, or the last."""
        found: Sequence[float] = getattr(self.config, "depths", (1.0,))
        return found

    def measure(self, view: ProbeView) -> Iterable[Row]:
        """Rows for the checkpoint behind ``view``."""
        raise NotImplementedError
