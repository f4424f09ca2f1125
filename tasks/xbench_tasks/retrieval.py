"""Retrieval of translations; nothing is trained."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from xbench.api.examples import ParallelText
from xbench.api.language import Language
from xbench.api.source import Source
from xbench.api.task import Task


class Retrieval(Task):
    """Which of all sentences of the other language is the translation? Both directions are scored.

    Examples are sentence pairs of the suite's source language and another.
    """

    level = "retrieval"
    metrics = ("retrieval_accuracy", "retrieval_forward", "retrieval_backward")


class Tatoeba(Retrieval):
    """Retrieval on Tatoeba, up to 1,000 pairs with English a language (Artetxe & Schwenk 2019).

    Its metrics name the direction, so the suite's source language must be English. Raises
    ``ValueError`` where it is another.
    """

    metrics = ("tatoeba_accuracy_xtreme", "tatoeba_accuracy_xx_to_en", "retrieval_accuracy")
    pivot: ClassVar[str] = "eng"

    def pairs(
        self, source: Source, languages: Sequence[Language], split: str
    ) -> Iterator[ParallelText]:
        """The pairs of English and another language, in this order."""
        if languages[0].code != self.pivot:
            raise ValueError(
                f"the metrics of {type(self).__name__} are of searches from and into English, and "
                f"the source language is {languages[0].code}: bind its data to a task whose "
                f"metrics say source language, as retrieval_forward does"
            )
        yield from super().pairs(source, languages, split)


class FloresRetrieval(Retrieval):
    """Retrieval on FLORES-200 devtest, 1,012 sentences, the same in all languages (NLLB Team 2022)."""
