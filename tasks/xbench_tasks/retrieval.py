"""Retrieval of translations; nothing is trained."""

from xbench.api.task import Task


class Retrieval(Task):
    """Which of all sentences of the other language is the translation? Both directions are scored.

    Examples are sentence pairs of the suite's source language and another.
    """

    level = "retrieval"
    metrics = ("retrieval_accuracy", "retrieval_forward", "retrieval_backward")


class Tatoeba(Retrieval):
    """Retrieval on Tatoeba, up to 1,000 pairs with English a language (Artetxe & Schwenk 2019)."""


class FloresRetrieval(Retrieval):
    """Retrieval on FLORES-200 devtest, 1,012 sentences, the same in all languages (NLLB Team 2022)."""
