"""A downstream task: data, labels and metrics. Heads and training belong to the harness."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from xbench.api.examples import ParallelText
from xbench.api.language import Language
from xbench.api.source import Source

Level = Literal["token", "sentence", "pair", "span", "retrieval"]


class Task:
    """What is to be predicted, from which examples, and how it is scored.

    ``level`` decides the head that the harness puts on the encoder: ``token`` and ``span`` (tags
    that mark spans, as B-PER) classify the first subword of every word, ``sentence`` the pooled
    text, ``pair`` the pooled concatenation of two texts. At level ``retrieval`` nothing is
    trained, so mode and seed are null: every text must find its translation among all others.
    ``labels`` fixes the order of the classes; ``metrics`` are names of metric plugins, the first
    of which is the one that tables show.
    """

    version: ClassVar[int] = 1
    level: ClassVar[Level] = "sentence"
    labels: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def examples(self, source: Source, language: Language, split: str) -> Iterator[Any]:
        """Records of :mod:`xbench.api.examples` that fit ``level``; override to filter or convert.

        Raises ``ValueError`` at a label outside ``labels``, naming the item.
        """
        for example in source.read([language], split):
            unknown = sorted(set(self.gold(example)) - set(self.labels))
            if unknown:
                raise ValueError(
                    f"item {example.id!r} has the label {', '.join(map(repr, unknown))}, which "
                    f"{type(self).__name__} does not know; it knows {', '.join(self.labels)}"
                )
            yield example

    def pairs(
        self, source: Source, languages: Sequence[Language], split: str
    ) -> Iterator[ParallelText]:
        """At level ``retrieval``: the sentence pairs of two languages; override to filter."""
        yield from source.read(languages, split)

    @staticmethod
    def gold(example: Any) -> Sequence[str]:
        """The labels of one example: one per word at token level, else a single one."""
        return tuple(example.tags) if hasattr(example, "tags") else (example.label,)
