"""A downstream task: data, labels and metrics. Heads and training belong to the harness."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from xbench.api.examples import ParallelText, is_empty
from xbench.api.language import Language
from xbench.api.source import Source

SHOWN = 10
"""Problems of items that are listed at once."""

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

        Of ``train`` blank texts are given too: training leaves them out and counts them. Raises
        ``ValueError`` listing all items (the first ten) with a label outside ``labels``, and of
        other splits those without text: what is tested is not left out.
        """
        problems: list[str] = []
        for example in source.read([language], split):
            problem = self._problem(example, split)
            if problem:
                place = getattr(example, "at", "") or f"item {example.id!r}"
                problems.append(f"{place}: {problem}")
            else:
                yield example
        if problems:
            raise ValueError(self._listed(problems, f"{language.code}, {split}"))

    def _listed(self, problems: Sequence[str], of: str) -> str:
        """What cannot be used, and what to do about it."""
        name = type(self).__name__
        shown = list(problems[:SHOWN])
        if len(problems) > SHOWN:
            shown.append(f"and {len(problems) - SHOWN} more")
        if any("label" in problem for problem in problems):
            shown.append(
                f"{name} knows {', '.join(self.labels)}. The option labels of a source maps others: "
                f"{{labels: {{MISC: O}}}} reads MISC as O (docs/data.md)"
            )
        head = f"{name} cannot use {len(problems)} of the items of {of}:"
        return "\n  ".join([head, *shown])

    def _problem(self, example: Any, split: str) -> str:
        """Why an example cannot be used; empty where it can."""
        unknown = sorted(set(self.gold(example)) - set(self.labels))
        if unknown:
            return f"unknown label {', '.join(map(repr, unknown))}"
        if split != "train" and is_empty(example):
            return f"no text (item {example.id!r})"
        return ""

    def pairs(
        self, source: Source, languages: Sequence[Language], split: str
    ) -> Iterator[ParallelText]:
        """At level ``retrieval``: the sentence pairs of two languages; override to filter."""
        yield from source.read(languages, split)

    @staticmethod
    def gold(example: Any) -> Sequence[str]:
        """The labels of one example: one per word at token level, else a single one."""
        return tuple(example.tags) if hasattr(example, "tags") else (example.label,)
