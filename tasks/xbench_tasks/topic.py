"""Topic classification."""

from collections.abc import Iterator
from typing import ClassVar

from xbench.api.examples import LabelledText
from xbench.api.language import Language
from xbench.api.source import Source
from xbench.api.task import Task
from xbench_tasks.labels import known_labels


class Topic(Task):
    """Which of seven topics a sentence is about: the classes of SIB-200 (Adelani et al. 2024)."""

    level = "sentence"
    aliases: ClassVar[tuple[str, ...]] = ("sib200",)
    labels = (
        "science/technology", "travel", "politics", "sports", "health", "entertainment",
        "geography",
    )  # fmt: skip
    metrics = ("accuracy", "macro_f1")

    def examples(self, source: Source, language: Language, split: str) -> Iterator[LabelledText]:
        """Texts with one topic each. Raises ``ValueError`` at a topic that is not one of these."""
        return known_labels(self, source.read([language], split))
